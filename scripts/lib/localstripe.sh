# shellcheck shell=bash
# localstripe, a Stripe that somebody else wrote, over which tests/http/stripe/judge.rs has orders paid. Sourced by scripts/test.
#
#   localstripe_require TARGET   has it in a virtual environment below TARGET and exports HAAT_LOCALSTRIPE, its Python; installs it from PyPI
#                                where it is not there

# shellcheck source=scripts/lib/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

LOCALSTRIPE_VERSION=1.15.10

localstripe_require() {
    local venv=$1/localstripe-$LOCALSTRIPE_VERSION
    local python=$venv/bin/python3
    if ! "$python" -c 'import localstripe' 2>/dev/null; then
        # What a run that was stopped left behind is made anew.
        rm -rf "$venv"
        python3 -c 'import venv, ensurepip' 2>/dev/null || debian_install python3-venv || return 1
        python3 -m venv "$venv" >&2 || return 1
        "$venv/bin/pip" install --quiet --disable-pip-version-check "localstripe==$LOCALSTRIPE_VERSION" >&2 || return 1
        "$python" -c 'import localstripe' || return 1
    fi
    export HAAT_LOCALSTRIPE=$python
}
