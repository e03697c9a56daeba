# PostgreSQL's programs: Debian keeps them beside the PATH, and they refuse to be root.
set -eu
for folder in /usr/lib/postgresql/*/bin; do
  PATH=$folder:$PATH
done
files=$DATA/postgres

unprivileged=()
if [ "$(id -u)" = 0 ]; then
  unprivileged=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
fi

case $1 in
  init)
    if [ -s "$files/PG_VERSION" ]; then
      echo "there already: $files"
      exit
    fi
    mkdir -p "$DATA"
    chmod 755 "$DATA"
    mkdir -m 700 "$files"
    if [ ${#unprivileged[@]} != 0 ]; then
      chown nobody "$files"
    fi
    cd "$files"
    exec "${unprivileged[@]}" initdb -D "$files" -U "$PGUSER" -A trust -E UTF8 --locale=C
    ;;
  serve)
    cd "$files"
    exec "${unprivileged[@]}" postgres -D "$files" -h "$PGHOST" -k ''
    ;;
  ready)
    exec pg_isready -q
    ;;
  sql)
    exec psql -qX -v ON_ERROR_STOP=1 -f "$2"
    ;;
esac
