# shellcheck shell=bash
# libfaketime, under which tests/crash/clocks.rs runs the real binary with a wall clock that is wrong. Sourced by scripts/test.
#
#   faketime_require   whether it is there; installs Debian's when we are root

# shellcheck source=scripts/lib/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

faketime_is_there() { compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null; }

faketime_require() {
    faketime_is_there && return 0
    debian_install faketime && faketime_is_there && return 0
    printf 'no libfaketime below /usr/lib (Debian: apt-get install faketime)\n' >&2
    return 1
}
