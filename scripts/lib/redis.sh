# shellcheck shell=bash
# A Redis server of our own, made from the binary that the machine has. Sourced by scripts/bench, which throws it away. It needs
# scripts/lib/postgres.sh beside it, for a free port.
#
#   redis_require     sets REDIS_SERVER, and installs Debian's when we are root; else returns 1
#   redis_start DIR   starts it on a free port of 127.0.0.1 with its files in DIR; sets REDIS_PID and REDIS_URL
#   redis_stop        stops it

# shellcheck source=scripts/lib/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

REDIS_SERVER=
REDIS_PID=
# shellcheck disable=SC2034 # read by the script that sources this
REDIS_URL=

redis_require() {
    REDIS_SERVER=$(command -v redis-server || true)
    if [ -z "$REDIS_SERVER" ] && debian_install redis-server; then
        REDIS_SERVER=$(command -v redis-server || true)
    fi
    [ -n "$REDIS_SERVER" ]
}

redis_start() {
    local dir=$1 port
    for _ in 1 2 3 4 5; do
        port=$(postgres_free_port) || return 1
        # Every answer waits for its fsync, as on Postgres. No dump and no rewrite of the log may fall into a measurement.
        "$REDIS_SERVER" --bind 127.0.0.1 --port "$port" --dir "$dir" --save '' --appendonly yes --appendfsync always \
            --auto-aof-rewrite-percentage 0 --daemonize no </dev/null >"$dir/redis.log" 2>&1 &
        REDIS_PID=$!
        for _ in $(seq 100); do
            kill -0 "$REDIS_PID" 2>/dev/null || break
            if grep -q 'Ready to accept connections' "$dir/redis.log"; then
                # shellcheck disable=SC2034 # read by the script that sources this
                REDIS_URL=redis://127.0.0.1:$port/
                return 0
            fi
            sleep 0.1
        done
        redis_stop
    done
    cat "$dir/redis.log" >&2
    return 1
}

redis_stop() {
    [ -n "$REDIS_PID" ] || return 0
    kill -KILL "$REDIS_PID" 2>/dev/null || true
    wait "$REDIS_PID" 2>/dev/null || true
    REDIS_PID=
}
