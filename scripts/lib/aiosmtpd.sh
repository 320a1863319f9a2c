# shellcheck shell=bash
# Debian's aiosmtpd, the mail server to which tests/crash/mails.rs has mails sent. Sourced by scripts/test.
#
#   aiosmtpd_require   whether it, and openssl for its certificate, are there; installs Debian's when we are root

# shellcheck source=scripts/lib/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

aiosmtpd_is_there() { /usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null; }

aiosmtpd_require() {
    command -v openssl >/dev/null || debian_install openssl || return 1
    aiosmtpd_is_there && return 0
    debian_install python3-aiosmtpd && aiosmtpd_is_there && return 0
    printf 'no aiosmtpd for /usr/bin/python3 (Debian: apt-get install python3-aiosmtpd)\n' >&2
    return 1
}
