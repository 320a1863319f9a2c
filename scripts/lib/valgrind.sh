# shellcheck shell=bash
# Valgrind, whose callgrind counts instructions. Sourced by scripts/test and scripts/instructions.
#
#   valgrind_require   says what is missing, and returns 1, where instructions cannot be counted as the kept counts were; installs
#                      Debian's valgrind when we are root

# shellcheck source=scripts/lib/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

valgrind_require() {
    if [ "$(uname -sm)" != "Linux x86_64" ]; then
        printf '%s\n' "the counts that are kept are those of Linux on x86_64" >&2
        return 1
    fi
    # The debug symbols that the package recommends are not needed for counting.
    command -v valgrind >/dev/null || debian_install valgrind || true
    if ! command -v valgrind >/dev/null; then
        printf '%s\n' "no valgrind in PATH (Debian: apt-get install valgrind)" >&2
        return 1
    fi
}
