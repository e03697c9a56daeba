item=${1:-cake}
exec 3<>"/dev/tcp/127.0.0.1/$API_PORT" || exit
printf 'POST /order/%s HTTP/1.0\r\n\r\n' "$item" >&3
{
  read -r _ code _
  while IFS= read -r line && [ "${line%$'\r'}" ]; do :; done
  IFS= read -r text
} <&3
echo "$text"
[ "$code" = 201 ]
