"""How long a marker waits: from the key that saves to the next answer standing, and to the acknowledgement.

    python benchmarks/desk.py [--answers 100] [--pause 0.4]

A centre's exam is put on a fresh service (SQLite, one process) and marked in a real Chromium with keys alone. "Next"
is the time in the browser from the keydown event to the first frame after the next answer and its picture are in
the page; "saved" is the time until the page says that the mark is kept. Between two answers the marker looks for
`pause` seconds. Prints a table and writes JSON.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import harness

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

# In the page: the time from a key to the next answer with its picture drawn, and to the word that it is saved.
CLOCK = """
() => {
  window.clock = { next: [], saved: [] };
  let pressed = 0, awaiting = false, unsaid = 0;
  addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    pressed = performance.now(); awaiting = true; unsaid = pressed;
  }, true);
  new MutationObserver(() => {
    const main = document.querySelector("main");
    if (awaiting && main && !main.dataset.timed) {
      main.dataset.timed = "1"; awaiting = false;
      const from = pressed, picture = main.querySelector(".sheet img");
      (picture ? picture.decode().catch(() => {}) : Promise.resolve()).then(() =>
        requestAnimationFrame(() => window.clock.next.push(performance.now() - from)));
    }
    if (unsaid && document.querySelector("#notice .notice:not([data-timed])")) {
      document.querySelector("#notice .notice").dataset.timed = "1";
      window.clock.saved.push(performance.now() - unsaid); unsaid = 0;
    }
  }).observe(document.body, { childList: true, subtree: true });
  document.querySelector("main").dataset.timed = "1";
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--pause", type=float, default=0.4, help="seconds that the marker looks at an answer")
    options = parser.parse_args()
    from centre_server import CentreProcess, prepare
    from playwright.sync_api import sync_playwright
    from service_client import PASSWORD

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder:
        exam = prepare(Path(folder) / "data", options.answers + 2)
        with (
            CentreProcess(Path(folder) / "data", exam, Path(folder) / "log") as service,
            sync_playwright() as started,
        ):
            browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1360, "height": 860})
            page.set_default_timeout(60_000)
            page.goto(f"{service.root}/login")
            page.fill("input[name=login]", "chen")
            page.fill("input[name=password]", PASSWORD)
            page.press("input[name=password]", "Enter")
            page.wait_for_url("**/exams")
            page.goto(f"{service.root}{exam}/mark/1")
            page.wait_for_load_state("networkidle")
            page.evaluate(CLOCK)
            for number in range(options.answers):
                page.wait_for_timeout(options.pause * 1000)
                page.keyboard.press("0123"[number % 4])
                page.keyboard.press("Enter")
                page.wait_for_function("count => window.clock.next.length > count", arg=number)
            page.wait_for_load_state("networkidle")
            clock = page.evaluate("() => window.clock")
            browser.close()
            service.kill()  # what was acknowledged is on disk already
        kept = marks_kept(Path(folder) / "data")
    figures = {name: summary(values) for name, values in clock.items()}
    report = {
        "answers": options.answers,
        "kept": kept,
        "pause": options.pause,
        "load": os.getloadavg()[0],
        "milliseconds": figures,
    }
    rows = [[name, told["n"], told["median"], told["p95"], told["max"]] for name, told in figures.items()]
    harness.table("milliseconds that a marker waits", ["for", "n", "median", "p95", "max"], rows)
    print(f"{kept} of {options.answers} marks are on disk after the service was killed")
    print(f"load average {os.getloadavg()[0]:.1f}", file=sys.stderr)
    harness.write("desk", report)


def marks_kept(data: Path) -> int:
    """People's marks in the service's database."""
    with closing(sqlite3.connect(data / "service.sqlite")) as connection:
        query = "SELECT count(*) FROM mark_event WHERE kind = 'mark' AND giver = 'person'"
        return int(connection.execute(query).fetchone()[0])


def summary(values: list[float]) -> dict[str, float]:
    """n, median, 95th percentile and maximum."""
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return {"n": len(ordered), "median": statistics.median(ordered), "p95": p95, "max": ordered[-1]}


if __name__ == "__main__":
    main()
