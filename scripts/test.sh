#!/usr/bin/env bash
# Set up everything and run the tests. Usage: scripts/test.sh [PYTEST OPTIONS]
# The service is tested on a real PostgreSQL and in a real Chromium as well: root installs them here where apt can,
# else those tests skip and say so.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh dev
missing=()
command -v initdb >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || missing+=(postgresql)
[ -n "${CHROMIUM:-}" ] || command -v chromium chromium-browser >/dev/null || missing+=(chromium)
if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends "${missing[@]}"; } >/dev/null ||
        echo "could not install ${missing[*]}; the tests that need them skip" >&2
fi
exec "${VENV:-.venv}/bin/python" -m pytest "$@"
