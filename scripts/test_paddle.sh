#!/usr/bin/env bash
# Run the tests of the PaddleOCR engine in an environment of its own, because its packages are large and bring
# another OpenCV. Usage: scripts/test_paddle.sh
set -euo pipefail
cd "$(dirname "$0")/.."
VENV="${PADDLE_VENV:-.venv-paddle}" scripts/setup.sh paddle
# Not the extra dev: together with paddle's requirements pip looks for versions for longer than anybody waits.
"${PADDLE_VENV:-.venv-paddle}/bin/python" -m pip install --quiet --disable-pip-version-check "pytest>=8"
"${PADDLE_VENV:-.venv-paddle}/bin/python" -m pytest -q -m paddle tests/test_ocr_command.py
