# shellcheck shell=bash
# Valgrind, whose callgrind counts instructions. Sourced by scripts/test and scripts/instructions.
#
#   valgrind_require   says what is missing, and returns 1, where instructions cannot be counted as the kept counts were; installs
#                      Debian's valgrind when we are root

valgrind_require() {
    if [ "$(uname -sm)" != "Linux x86_64" ]; then
        printf '%s\n' "the counts that are kept are those of Linux on x86_64" >&2
        return 1
    fi
    if ! command -v valgrind >/dev/null && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        printf '%s\n' "no valgrind here, installing Debian's" >&2
        export DEBIAN_FRONTEND=noninteractive
        # A first update may fail for a source that is none of ours; the installation then says what is missing.
        apt-get update -q </dev/null >&2 || printf '%s\n' "apt-get update failed, going on with the lists as they are" >&2
        # The libraries' debug symbols that it recommends are not needed for counting.
        apt-get install -q -y --no-install-recommends valgrind </dev/null >&2 || true
    fi
    if ! command -v valgrind >/dev/null; then
        printf '%s\n' "no valgrind in PATH (Debian: apt-get install valgrind)" >&2
        return 1
    fi
}
