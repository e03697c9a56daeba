. ./lib.sh
trap 'running=no' TERM
running=yes
connect || exit
echo "ready to pack"
while [ "$running" = yes ]; do
  order=$(ask POP todo) || exit
  if [ -n "$order" ]; then
    echo "packed order $order"
  else
    read -rt 0.2 <> <(:)
  fi
done
echo "the box is closed"
