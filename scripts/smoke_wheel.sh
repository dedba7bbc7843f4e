#!/usr/bin/env bash
# Build the wheel, install it alone into a clean environment outside the checkout, and run the main job there.
set -euo pipefail
cd "$(dirname "$0")/.."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"${VENV:-.venv}/bin/python" -m build --wheel --outdir "$work/dist" . >"$work/build.log" || {
    cat "$work/build.log" >&2
    exit 1
}
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$work"/dist/*.whl
cd "$work"
venv/bin/grader --version
venv/bin/grader doctor
for heavy in torch transformers cv2 onnxruntime paddle sklearn; do
    venv/bin/python -X importtime -m grader --help 2>&1 | grep -E "\| +$heavy$" && {
        echo "grader --help imports $heavy" >&2
        exit 1
    }
done
venv/bin/grader demo --out demo
venv/bin/grader replay demo/run
# The service of the wheel stands up and shows its set-up page.
venv/bin/grader serve --data service --port 0 2>serve.log &
served=$!
for _ in $(seq 150); do
    page="$(sed -n 's/^set up: *//p' serve.log)"
    [ -n "$page" ] && break
    sleep 0.2
done
venv/bin/python -c 'import sys, urllib.request as web; assert b"<form" in web.urlopen(sys.argv[1]).read()' "$page"
kill "$served"
wait "$served" || true
echo "wheel: ok"
