#!/usr/bin/env bash
# Set up everything and run the tests. Usage: scripts/test.sh [PYTEST OPTIONS]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh dev
exec "${VENV:-.venv}/bin/python" -m pytest "$@"
