#!/usr/bin/env bash
# Set up everything and run the tests. Usage: scripts/test.sh [PYTEST OPTIONS]
# The service is tested on a real PostgreSQL as well: installed here by root where apt can, else those tests skip.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh dev
has_postgres() { command -v initdb >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null; }
if ! has_postgres && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postgresql >/dev/null ||
        echo "PostgreSQL could not be installed; the tests that need it skip" >&2
fi
exec "${VENV:-.venv}/bin/python" -m pytest "$@"
