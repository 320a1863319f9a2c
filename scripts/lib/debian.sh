# shellcheck shell=bash
# Installs a package of Debian's that a script needs. Sourced by the libraries beside it.
#
#   debian_install PACKAGE   returns 1 where it cannot: no Debian, not root, or the installation failed, whose messages are on stderr

DEBIAN_POLICY=/usr/sbin/policy-rc.d

# Debian starts a server of its own when one is installed. Nobody asked for that one: for the time of the installation nothing may be
# started.
debian_install() (
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || return 1
    printf 'no %s here, installing Debian'\''s\n' "$1" >&2
    export DEBIAN_FRONTEND=noninteractive
    # A first update may fail for a source that is none of ours; the installation then says what is missing.
    apt-get update -q </dev/null >&2 || printf 'apt-get update failed, going on with the lists as they are\n' >&2
    if [ ! -e "$DEBIAN_POLICY" ]; then
        # However this ends: left behind, no package would ever start its server again.
        trap 'rm -f "$DEBIAN_POLICY"' EXIT
        trap 'exit 130' INT TERM HUP
        printf '#!/bin/sh\nexit 101\n' >"$DEBIAN_POLICY"
        chmod 755 "$DEBIAN_POLICY"
    fi
    apt-get install -q -y --no-install-recommends "$1" </dev/null >&2
)
