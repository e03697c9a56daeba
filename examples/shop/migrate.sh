. ./lib.sh
connect || exit
echo "from version 0 to 3"
for item in tea coffee cake; do
  echo "filling the shelf: $item $(ask SET "stock:$item" 100)"
done
ask SET version 3 >/dev/null
