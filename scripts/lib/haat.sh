# shellcheck shell=bash
# A server that is measured from outside: built, started, looked at. Sourced by the scripts that measure; what they set is `haat` and `load`, the
# two binaries.
#
#   haat_build               builds both, optimized; sets haat and load
#   haat_environment         takes HAAT_… of the caller's out of the environment, gives a secret for tokens, and the sandbox
#   haat_ready PID URL LOG   waits until it answers as ready; returns 1 with the end of its log when it has ended before
#   haat_metric URL NAME     a figure of its metrics, 0 where there is none
#   now_ms                   milliseconds since 1970
#   cpu_us PID…              microseconds of processor time that these have had, with those of their children that have ended
#   family PID               a process and its children
#   kib PID                  its resident memory

haat_build() {
    cargo build --quiet --locked --release --bins
    # shellcheck disable=SC2034 # read by the script that sources this
    haat=${CARGO_TARGET_DIR:-target}/release/haat
    # shellcheck disable=SC2034
    load=$haat-load
}

haat_environment() {
    local name
    for name in "${!HAAT_@}"; do
        unset "$name"
    done
    HAAT_JWT_SECRET=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
    # On a database the sandbox is on only when it is asked for.
    export HAAT_JWT_SECRET HAAT_SANDBOX=on
}

haat_ready() {
    until curl -fs "$2/readyz" >/dev/null 2>&1; do
        kill -0 "$1" 2>/dev/null || { tail -n 5 "$3" >&2; return 1; }
        sleep 0.01
    done
}

haat_metric() { curl -fs "$1/metrics" | awk -v name="$2" '$1 == name { print $2; found = 1 } END { if (!found) print 0 }'; }

now_ms() { date +%s%3N; }

# A process may end while it is looked at: it is passed over.
cpu_us() {
    local stats=("${@/#//proc/}")
    { cat "${stats[@]/%//stat}" 2>/dev/null || true; } | awk -v tick="$(getconf CLK_TCK)" '
        { sub(/^.*\) /, ""); sum += $12 + $13 + $14 + $15 } END { printf "%.0f\n", sum * 1000000 / tick }'
}

family() {
    { cat /proc/[0-9]*/stat 2>/dev/null || true; } | awk -v root="$1" '{ pid = $1; sub(/.*\) /, ""); if (pid == root || $2 == root) print pid }'
}

kib() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }
