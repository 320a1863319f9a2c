# shellcheck shell=bash
# A PostgreSQL cluster of our own, made from the binaries that the machine has. Sourced by scripts/test, which throws
# the cluster away, and by scripts/postgres, which keeps it.
#
#   postgres_find              sets POSTGRES_BIN and POSTGRES_VERSION, or returns 1
#   postgres_require           the same, and installs the server on Debian when we are root; else says what to do
#   postgres_choose_user DIR   sets POSTGRES_USER to the user who can run a server in DIR
#   postgres_init DIR          a new cluster in DIR, with a superuser and a database named haat
#   postgres_count DIR         has the cluster, before it starts, count what its statements cost (pg_stat_statements); says when it cannot
#   postgres_count_anew        forgets what was counted so far
#   postgres_statements DB N   prints what the statements in database DB took since then, the dearest first, each divided by N
#   postgres_start DIR         starts it on a free port of 127.0.0.1 (or on HAAT_POSTGRES_PORT) and sets POSTGRES_URL
#   postgres_running DIR       true while its server lives
#   postgres_stop DIR MODE     stops it; MODE is fast (a shutdown checkpoint) or immediate (what is there is thrown away)
#
# DIR holds data/, log, password, and while a server runs, url.

POSTGRES_MINIMUM=15
POSTGRES_BIN=
POSTGRES_VERSION=
POSTGRES_USER=
POSTGRES_URL=
POSTGRES_CREATECLUSTER=/etc/postgresql-common/createcluster.conf

postgres_say() { printf '%s\n' "postgres: $*" >&2; }

# The newest server of at least POSTGRES_MINIMUM. PATH goes first: whoever put one there means it.
postgres_find() {
    local candidate version found
    local -a candidates=()
    found=$(command -v postgres || true)
    if [ -n "$found" ]; then
        candidates+=("$(dirname "$(readlink -f "$found" || printf '%s' "$found")")")
    fi
    while IFS= read -r candidate; do
        candidates+=("$candidate")
    done < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -t/ -k5,5nr)
    for candidate in "${candidates[@]}"; do
        if ! [ -x "$candidate/postgres" ] || ! [ -x "$candidate/initdb" ] || ! [ -x "$candidate/pg_ctl" ]; then
            continue
        fi
        version=$("$candidate/postgres" --version | sed -E 's/^[^0-9]*([0-9]+).*$/\1/')
        if [ "${version:-0}" -ge "$POSTGRES_MINIMUM" ]; then
            POSTGRES_BIN=$candidate
            # shellcheck disable=SC2034 # read by the scripts that source this
            POSTGRES_VERSION=$version
            return 0
        fi
    done
    return 1
}

# Debian makes a cluster of its own and starts it when the server is installed. Nobody asked for that one, so for the
# time of the installation its making is switched off.
postgres_install() {
    local kept='' status=0
    export DEBIAN_FRONTEND=noninteractive
    # A first update may fail for a source that is none of ours; the installation then says what is missing.
    apt-get update -q </dev/null >&2 || postgres_say "apt-get update failed, going on with the lists as they are"
    apt-get install -q -y --no-install-recommends postgresql-common </dev/null >&2 || return 1
    if [ -f "$POSTGRES_CREATECLUSTER" ]; then
        kept=$(mktemp)
        cat "$POSTGRES_CREATECLUSTER" >"$kept"
    fi
    mkdir -p "$(dirname "$POSTGRES_CREATECLUSTER")"
    printf 'create_main_cluster = false\n' >>"$POSTGRES_CREATECLUSTER"
    apt-get install -q -y --no-install-recommends postgresql </dev/null >&2 || status=1
    if [ -n "$kept" ]; then
        cat "$kept" >"$POSTGRES_CREATECLUSTER"
        rm -f "$kept"
    else
        rm -f "$POSTGRES_CREATECLUSTER"
    fi
    return "$status"
}

postgres_require() {
    if postgres_find; then
        return 0
    fi
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        postgres_say "no server of version $POSTGRES_MINIMUM or newer here, installing Debian's"
        if postgres_install && postgres_find; then
            return 0
        fi
        postgres_say "the installation brought no server of version $POSTGRES_MINIMUM or newer (its messages are above)"
    else
        postgres_say "no server of version $POSTGRES_MINIMUM or newer in PATH or /usr/lib/postgresql"
    fi
    postgres_say "install one (Debian: apt-get install postgresql), or set DATABASE_URL to a server that tests may use"
    return 1
}

# The server refuses to run as root: as root, everything that touches the cluster goes through here.
postgres_as_user() {
    if [ -z "$POSTGRES_USER" ]; then
        (cd / && exec "$@")
    elif command -v setpriv >/dev/null; then
        (cd / && exec setpriv --reuid="$POSTGRES_USER" --regid="$(id -g "$POSTGRES_USER")" --clear-groups -- "$@")
    elif command -v runuser >/dev/null; then
        (cd / && exec runuser -u "$POSTGRES_USER" -- "$@")
    else
        # shellcheck disable=SC2016 # the inner shell expands it
        (cd / && exec su -s /bin/sh "$POSTGRES_USER" -c 'exec "$0" "$@"' -- "$@")
    fi
}

# Whether that user can get into DIR, whose parents may be closed to it (/root is).
postgres_choose_user() {
    local dir=$1 user
    POSTGRES_USER=
    if [ "$(id -u)" -ne 0 ]; then
        [ -w "$dir" ]
        return
    fi
    for user in postgres nobody; do
        if id -u "$user" >/dev/null 2>&1; then
            POSTGRES_USER=$user
            chown "$user" "$dir"
            chmod 700 "$dir"
            if postgres_as_user test -w "$dir"; then
                return 0
            fi
            chown root "$dir"
        fi
    done
    POSTGRES_USER=
    return 1
}

postgres_init() {
    local dir=$1
    if ! (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$dir/password"); then
        return 1
    fi
    [ -z "$POSTGRES_USER" ] || chown "$POSTGRES_USER" "$dir/password"
    # --no-sync leaves out only the sync of the freshly copied template; from here on the server syncs as in production.
    postgres_as_user "$POSTGRES_BIN/initdb" -D "$dir/data" -U haat --pwfile="$dir/password" -A scram-sha-256 \
        --encoding=UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1 ||
        { cat "$dir/initdb.log" >&2; return 1; }
    cat >>"$dir/data/postgresql.conf" <<'CONF'
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
fsync = on
synchronous_commit = on
full_page_writes = on
timezone = 'UTC'
CONF
    # A server of its own is not up yet, so the database is made in single-user mode and no client is needed.
    printf 'CREATE DATABASE haat\n' |
        postgres_as_user "$POSTGRES_BIN/postgres" --single -D "$dir/data" postgres >>"$dir/initdb.log" 2>&1 ||
        { cat "$dir/initdb.log" >&2; return 1; }
}

# For measurements alone: the counting itself costs a little.
postgres_count() {
    local library
    for library in "$POSTGRES_BIN"/../lib/pg_stat_statements.so "$POSTGRES_BIN"/../lib/*/pg_stat_statements.so; do
        if [ -f "$library" ]; then
            cat >>"$1/data/postgresql.conf" <<'CONF'
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.track_planning = on
CONF
            return 0
        fi
    done
    postgres_say "left out: what statements cost: there is no pg_stat_statements here (Debian: apt-get install postgresql-contrib)"
}

postgres_counts() {
    PGOPTIONS='-c client_min_messages=warning' "$POSTGRES_BIN/psql" "$POSTGRES_URL" -qAt -F ' | ' \
        -c 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements' -c "$1" 2>/dev/null || true
}
postgres_count_anew() { postgres_counts 'SELECT pg_stat_statements_reset()' >/dev/null; }

# In microseconds. What a trigger does is part of its statement; the wait for the disk at the end of a transaction is part of none.
postgres_statements() {
    printf 'µs of one order | planning | pages | rows | calls | statement\n'
    postgres_counts "SELECT round(((sum(total_plan_time) + sum(total_exec_time)) * 1000 / $2)::numeric, 1),
            round((sum(total_plan_time) * 1000 / $2)::numeric, 1), round(sum(shared_blks_hit + shared_blks_read) / $2, 1),
            round(sum(rows)::numeric / $2, 2), sum(calls), left(regexp_replace(btrim(query, E' \n'), '\s+', ' ', 'g'), 90)
        FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = '$1')
        GROUP BY query ORDER BY sum(total_plan_time) + sum(total_exec_time) DESC LIMIT 14"
}

# Below the range from which Linux takes ports for outgoing connections, so that none of those gets in between.
postgres_free_port() {
    local port attempt
    for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        # By the number of its own process: those who look one after the other, or at once, find different ones before any is bound.
        port=$((20000 + (BASHPID + attempt * 601) % 12000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            printf '%s' "$port"
            return 0
        fi
    done
    return 1
}

postgres_start() {
    local dir=$1 port log
    log=${HAAT_POSTGRES_LOG:-$dir/log}
    for _ in 1 2 3 4 5; do
        port=${HAAT_POSTGRES_PORT:-$(postgres_free_port)} || break
        # Another process may take the port between our look and the server's: then another port.
        if postgres_as_user "$POSTGRES_BIN/pg_ctl" -D "$dir/data" -l "$log" -o "-p $port" -w -t 60 start \
            </dev/null >"$dir/pg_ctl.log" 2>&1; then
            POSTGRES_URL="postgres://haat:$(cat "$dir/password")@127.0.0.1:$port/haat"
            (umask 077 && printf '%s\n' "$POSTGRES_URL" >"$dir/url")
            return 0
        fi
        grep -q 'Address already in use' "$log" 2>/dev/null || break
        : >"$log"
    done
    postgres_say "the server did not start:"
    cat "$dir/pg_ctl.log" "$log" >&2 2>/dev/null || true
    return 1
}

postgres_running() {
    [ -f "$1/data/postmaster.pid" ] &&
        postgres_as_user "$POSTGRES_BIN/pg_ctl" -D "$1/data" status >/dev/null 2>&1
}

postgres_stop() {
    local dir=$1 mode=${2:-fast}
    rm -f "$dir/url"
    if [ -f "$dir/data/postmaster.pid" ]; then
        postgres_as_user "$POSTGRES_BIN/pg_ctl" -D "$dir/data" -m "$mode" -w -t 60 stop >/dev/null 2>&1 || true
    fi
    if postgres_running "$dir"; then
        postgres_say "the server in $dir does not stop"
        return 1
    fi
}
