# shellcheck shell=bash
# Debian's Prometheus, of our own: promtool for the rules of deploy/prometheus, and a server that reads one Haat with the rules made faster.
# Sourced by scripts/alerts-test and scripts/drill. It needs scripts/lib/postgres.sh beside it, for a free port.
#
#   prometheus_require          whether Prometheus, promtool and PyYAML are there; installs Debian's when we are root; else says what to do
#   prometheus_start DIR TARGET starts one with its data in DIR that reads TARGET (host:port) every second, its rules PROMETHEUS_FASTER times as
#                               fast as delivered; sets PROMETHEUS_URL
#   prometheus_ask QUERY        the answer, a line for each series
#   prometheus_firing           the names of the alarms that fire now
#   prometheus_fired            the names of the alarms that have fired since the start
#   prometheus_stop             stops it

# shellcheck source=scripts/lib/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

# Delivered, a server is looked at every 15 seconds; here every second.
PROMETHEUS_FASTER=15
PROMETHEUS_PID=
PROMETHEUS_URL=
ALERTS_CHECK=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/tests/alerts/check.py

alerts_check() { /usr/bin/python3 "$ALERTS_CHECK" "$@"; }

prometheus_is_there() { command -v prometheus >/dev/null && command -v promtool >/dev/null; }
yaml_is_there() { /usr/bin/python3 -c 'import yaml' 2>/dev/null; }

prometheus_require() {
    if ! prometheus_is_there; then
        if debian_install prometheus && command -v systemctl >/dev/null; then
            # It was not started; nor is it to be at the next start of the machine.
            systemctl disable prometheus >&2 || true
        fi
    fi
    prometheus_is_there || { printf 'no prometheus and promtool in PATH (Debian: apt-get install prometheus)\n' >&2; return 1; }
    yaml_is_there || { debian_install python3-yaml && yaml_is_there; } ||
        { printf 'no PyYAML for /usr/bin/python3 (Debian: apt-get install python3-yaml)\n' >&2; return 1; }
}

prometheus_start() {
    local dir=$1 target=$2 port
    alerts_check faster "$PROMETHEUS_FASTER" "$dir/haat.rules.yml" >/dev/null || return 1
    # The file that is delivered, but for the target and the pace.
    sed -E -e 's/^( *(scrape|evaluation)_interval:) .*/\1 1s/' -e "s/\"127\.0\.0\.1:9180\"/\"$target\"/" \
        deploy/prometheus/prometheus.yml >"$dir/prometheus.yml"
    grep -q "\"$target\"" "$dir/prometheus.yml" || return 1
    for _ in 1 2 3 4 5; do
        port=$(postgres_free_port) || return 1
        prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/prometheus" --web.listen-address="127.0.0.1:$port" \
            --log.level=warn </dev/null >"$dir/prometheus.log" 2>&1 &
        PROMETHEUS_PID=$!
        PROMETHEUS_URL=http://127.0.0.1:$port
        for _ in $(seq 200); do
            kill -0 "$PROMETHEUS_PID" 2>/dev/null || break
            ! curl -fs "$PROMETHEUS_URL/-/ready" >/dev/null 2>&1 || return 0
            sleep 0.05
        done
        prometheus_stop
    done
    tail -n 5 "$dir/prometheus.log" >&2
    return 1
}

prometheus_ask() { promtool query instant "$PROMETHEUS_URL" "$1"; }
prometheus_firing() { prometheus_ask 'count by (alertname) (ALERTS{alertstate="firing"})' | sed -nE 's/^\{alertname="([^"]+)"\}.*/\1/p' | sort; }
prometheus_fired() {
    prometheus_ask 'count by (alertname) (last_over_time(ALERTS{alertstate="firing"}[1h]))' | sed -nE 's/^\{alertname="([^"]+)"\}.*/\1/p' | sort
}

prometheus_stop() {
    [ -n "$PROMETHEUS_PID" ] || return 0
    # Its data is thrown away.
    kill -KILL "$PROMETHEUS_PID" 2>/dev/null || true
    wait "$PROMETHEUS_PID" 2>/dev/null || true
    PROMETHEUS_PID=
}
