# shellcheck shell=bash
# An nginx of our own with the configuration of deploy/nginx, in front of a Haat that runs. Sourced by scripts/gateway-test and
# scripts/sessions, which throw it away.
#
#   nginx_require   sets NGINX, and installs Debian's when we are root; else says what to do and returns 1
#   nginx_fill DIR LISTEN UPSTREAM WORKERS FILES
#                   writes DIR/nginx.conf: the file of deploy/nginx with these addresses (host:port) and counts
#   nginx_start DIR starts it and waits until its port is open; sets NGINX_PID
#   nginx_stop      stops it at once, with its workers

# shellcheck source=scripts/lib/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

NGINX=
NGINX_PID=
NGINX_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/deploy/nginx/nginx.conf

nginx_find() {
    NGINX=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v nginx || true)
    [ -n "$NGINX" ]
}

nginx_require() {
    nginx_find && return 0
    debian_install nginx-light && nginx_find && return 0
    printf 'no nginx in PATH (Debian: apt-get install nginx-light)\n' >&2
    return 1
}

# Replaces one line of DIR/nginx.conf; a line that is not there any more is an error, not a test of something else.
nginx_set() {
    local dir=$1 from=$2 to=$3
    [ "$(grep -cE "^ *$from" "$dir/nginx.conf")" -eq 1 ] || {
        printf 'deploy/nginx/nginx.conf: not one line that begins with: %s\n' "$from" >&2
        return 1
    }
    sed -i -E "s|^( *)$from.*|\\1$to|" "$dir/nginx.conf"
}

nginx_fill() {
    local dir=$1 listen=$2 upstream=$3 workers=$4 files=$5 kind temp=''
    cp "$NGINX_SOURCE" "$dir/nginx.conf"
    nginx_set "$dir" 'worker_processes ' "worker_processes $workers;"
    nginx_set "$dir" 'worker_rlimit_nofile ' "worker_rlimit_nofile $files;"
    # A worker has some files that are no connections: its log, its listening sockets, the way to its master.
    nginx_set "$dir" 'worker_connections ' "worker_connections $((files - 64));"
    nginx_set "$dir" 'pid ' "pid $dir/nginx.pid;"
    nginx_set "$dir" 'error_log ' "error_log $dir/nginx.log crit;"
    nginx_set "$dir" 'listen 80 ' "listen $listen reuseport backlog=4096;"
    nginx_set "$dir" 'server 127\.0\.0\.1:8080 ' "server $upstream max_conns=2000;"
    for kind in client_body proxy fastcgi uwsgi scgi; do
        temp="$temp ${kind}_temp_path $dir/temp-$kind;"
    done
    nginx_set "$dir" 'http \{' "http {$temp"
}

nginx_start() {
    local dir=$1 address
    address=$(sed -nE 's/^ *listen ([0-9.]+):([0-9]+) .*/\1 \2/p' "$dir/nginx.conf")
    "$NGINX" -p "$dir" -c "$dir/nginx.conf" -e "$dir/nginx.log" -g 'daemon off;' </dev/null >>"$dir/nginx.out" 2>&1 &
    NGINX_PID=$!
    for _ in $(seq 100); do
        kill -0 "$NGINX_PID" 2>/dev/null || break
        # shellcheck disable=SC2086 # a host and a port
        if printf '' 2>/dev/null >"/dev/tcp/${address/ //}"; then
            return 0
        fi
        sleep 0.1
    done
    printf 'nginx did not start:\n' >&2
    cat "$dir/nginx.out" >&2
    return 1
}

nginx_stop() {
    [ -n "$NGINX_PID" ] || return 0
    # Its master takes the workers along.
    kill -TERM "$NGINX_PID" 2>/dev/null || true
    wait "$NGINX_PID" 2>/dev/null || true
    NGINX_PID=
}
