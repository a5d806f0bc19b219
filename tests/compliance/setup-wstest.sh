#!/bin/bash
# Makes a Python 2.7 virtual environment with the Autobahn testsuite, `wstest`.
#
#   setup-wstest.sh [VENV_DIR]     (default: build/wstest beside the sources)
#
# The suite runs on Python 2 only. The interpreter is $PYTHON27, else `python2.7` of the
# search path, else pyenv's. Every package is pinned; nothing outside VENV_DIR is touched.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
venv=${1:-$root/build/wstest}

python27() {
    local found
    for found in "${PYTHON27:-}" "$(command -v python2.7 || true)" \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7*/bin/python2.7; do
        if [ -n "$found" ] && "$found" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' 2>/dev/null; then
            echo "$found"
            return
        fi
    done
    echo "Python 2.7 is missing: set PYTHON27 to its path" >&2
    return 2
}

pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check --no-python-version-warning \
        install -q "$@"
}

if [ ! -x "$venv/bin/python" ]; then
    python=$(python27)
    tool=$(mktemp -d)
    trap 'rm -rf "$tool"' EXIT
    "$python" -m pip install -q --no-warn-script-location --target "$tool" \
        'virtualenv==20.15.1'
    PYTHONPATH="$tool" "$python" -m virtualenv -q --no-download "$venv"
fi

pip 'setuptools==44.0.0' 'wheel==0.36.2' 'incremental==16.10.1' 'six==1.16.0'
# Twisted asks for incremental at build time: without isolation it meets the pinned one.
pip --no-build-isolation 'zope.interface==4.6.0' 'Twisted==19.10.0'
# wstest imports the TLS packages even for ws:// addresses.
pip --only-binary cryptography,cffi 'cffi==1.15.1' 'cryptography==3.3.2' \
    'pyOpenSSL==19.1.0' 'service_identity==18.1.0'
pip 'txaio==2.1.0' 'jinja2==2.11.3' 'markupsafe==1.1.1' 'Werkzeug==1.0.1' \
    'klein==17.10.0' 'unittest2==1.1.0'
pip 'wsaccel==0.6.2' ||
    echo 'without a C compiler the suite itself masks in Python: groups 9, 12, 13 crawl' >&2
pip --no-deps 'autobahn==0.10.9' 'autobahntestsuite==25.10.1'
"$venv/bin/wstest" --help >/dev/null
touch "$venv/ready"
echo "$venv/bin/wstest"
