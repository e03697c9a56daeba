# Redis, which writes its counts to a folder of its own.
set -eu
mkdir -p "$DATA/redis"
exec redis-server --bind 127.0.0.1 --port "$REDIS_PORT" --dir "$DATA/redis" --appendonly yes
