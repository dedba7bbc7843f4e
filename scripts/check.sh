#!/usr/bin/env bash
# Lint, format and types, as CI does. Needs scripts/setup.sh dev.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${VENV:-.venv}/bin/python"
"$python" -m ruff check grader tests benchmarks scripts
"$python" -m ruff format --check grader tests benchmarks scripts
"$python" -m mypy
