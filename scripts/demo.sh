#!/usr/bin/env bash
# Set up everything and run the main job on a shipped exam. Usage: scripts/demo.sh [OUT]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
"${VENV:-.venv}/bin/grader" demo --out "${1:-demo-out}"
