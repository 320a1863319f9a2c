# shellcheck shell=bash
# Debian's Chromium, and a Python that can drive it. Sourced by scripts/pages-test and scripts/test.
#
#   chromium_require   sets CHROMIUM, and installs Debian's when we are root; else says what to do and returns 1

# shellcheck source=scripts/lib/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

CHROMIUM=

chromium_find() {
    CHROMIUM=$(command -v chromium || true)
    [ -n "$CHROMIUM" ] && python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1
}

chromium_require() {
    chromium_find && return 0
    local package
    for package in chromium fonts-noto-core fonts-noto-color-emoji python3-venv python3-pip; do
        debian_install "$package" || break
    done
    chromium_find && return 0
    printf 'no Chromium in PATH, or no Python 3.10 with venv and pip (Debian: apt-get install chromium python3-venv python3-pip)\n' >&2
    return 1
}
