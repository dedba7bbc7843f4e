"""A batch: plan, read what is not yet read, settle, write. Run again on the same folder it resumes."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from datetime import datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any

from grader import __version__
from grader.errors import ExitCode, PageError, StoreError, UsageError
from grader.intake.source import is_url, path_of
from grader.records import PageRef
from grader.run.admission import Admission
from grader.run.executor import Executor
from grader.run.job import CALIBRATION, Job
from grader.run.output import write_outputs
from grader.run.patience import AT_ONCE, Patience
from grader.run.pipeline import reader_for
from grader.run.progress import Progress, Tracker
from grader.run.reachable import read_pages
from grader.run.settle import settle
from grader.stages import stage, watched
from grader.store.entry import Entry
from grader.store.leases import Leases
from grader.store.store import RunStore

_COMMIT_PAGES = 128  # results that are kept back at most before they are written ...
_COMMIT_SECONDS = 1.0  # ... and for how long
# why a page was not read, where another machine, limit, version or hour may do
RETRIED = frozenset({"crashed", "timed_out", "out_of_memory", "internal_error", "unreadable_file"})
_SUSPECTS = 100  # pages of files newer than their reading that are compared: a folder copied anew has only such


def run_batch(
    job: Job,
    scans: Sequence[Path | str],
    out: Path,
    executor: Executor,
    show: Callable[[Progress], None] = lambda _: None,
    patience: Patience = AT_ONCE,
    admission: bool = False,
    retry: bool = False,
) -> dict[str, Any]:
    """Mark the pages under `scans`, paths or URLs, into the run folder `out`; returns what run.json says.

    Raises UsageError if there is nothing to read, StoreError if `out` holds a run of another exam, form or
    settings, is in use, or cannot be written, StorageError if a storage of scans cannot be reached. Interrupted by
    KeyboardInterrupt or killed, it loses at most the pages of the last second and reads only those again.
    patience: how long a disk that is full and a storage that is silent are waited for once reading has begun.
    admission: refuse a batch that cannot go well; raises AdmissionError, and then nothing was marked.
    retry: read pages again that an earlier call could not for a reason that may have gone.
    """
    from grader.intake.plan import natural_key, plan

    start = time.perf_counter()
    there = plan(scans, without=out)
    planned = there.pages
    _check_scans(scans, planned, out)
    with RunStore.create(out) as store, watched() as storing:
        reader = reader_for(job)
        models = reader.models()
        done = store.done()
        _claim(store, job, models, begun=bool(done))
        _keep_calibration(store, job)
        again = _may_do_now(store, planned) if retry else set()
        store.read_again(again)
        todo = [ref for ref in planned if ref not in done or ref in again]
        # what an earlier call read stays in the run, even where this one names other scans
        earlier = done.keys() - set(planned)
        order = [*sorted(earlier, key=lambda ref: (natural_key(ref.file), ref.page)), *planned]
        leases = Leases(store, patience)
        tracker = Tracker(len(order) - len(todo), len(order), lambda: getattr(executor, "workers", 1), storing)
        gate = Admission(job, out, todo, len(done), admission)
        try:
            # closed whatever happens: an error may keep its frames alive, and the workers with them
            with closing(read_pages(executor, job, gate.order(), leases, patience)) as entries:
                _journal(store, gate.admitted(tracker.shown(entries, show)), patience)
        finally:
            with suppress(StoreError):  # a full disk: what stays leased is read one at a time next time
                leases.give_back()
        bottleneck = tracker.bottleneck()
        with stage("storing"):
            summary = patience(lambda: settle(store, job, order))
        wall = time.perf_counter() - start
        summary = {
            "schema": "grader-run/1",
            "exam": job.exam.exam.id,
            **summary,
            "seconds": {**Counter(summary["seconds"]) + Counter(storing), "wall": wall},
            "bottleneck": bottleneck and asdict(bottleneck),
            "peak_memory": executor.peak_memory,
            "resumed_pages": len(order) - len(todo),
            "admission": gate.report,
            "changed_files": _changed(store, job, done, there.modified),
            "versions": versions(),
            "models": models,
            "remarks": reader.remarks(),
            "settings": job.describe()["settings"],
        }
        patience(lambda: store.set_meta(summary=summary))
        patience(lambda: write_outputs(store, summary))
    return summary


def exit_code(summary: dict[str, Any]) -> ExitCode:
    """DONE if every page was read and none is missing."""
    counts = summary["counts"]
    whole = counts["read"] == counts["pages"] and not counts["missing"]
    return ExitCode.DONE if whole else ExitCode.DONE_WITH_REJECTS


def versions() -> dict[str, str]:
    """Versions of grader and of the packages that a mark depends on."""
    found = {"grader": __version__}
    for package in (
        "numpy",
        "onnxruntime",
        "opencv-python-headless",
        "pypdfium2",
        "tokenizers",
        "sympy",
        "pint",
    ):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _check_scans(scans: Sequence[Path | str], planned: Sequence[PageRef], out: Path) -> None:
    """Raise UsageError where there is nothing to read, so that a mistyped path marks nothing."""
    named = ", ".join(map(str, scans))
    paths = [Path(place) for place in scans if not is_url(str(place))]
    if out.exists() and any(path.exists() and path.samefile(out) for path in paths):
        raise UsageError(f"{out} is the folder of the scans", "name another folder for the run")
    if not planned:
        raise UsageError(f"there are no scans in {named}", "give files or folders of scans")
    if len(paths) == len(scans) and not any(os.path.lexists(path) for path in paths):
        raise UsageError(f"{named}: there is no such file or folder", "correct --scans")


def _may_do_now(store: RunStore, planned: Sequence[PageRef]) -> set[PageRef]:
    return {result.ref for _, result in store.page_outlines(planned) if result.reason in RETRIED}


def _changed(store: RunStore, job: Job, done: Mapping[PageRef, datetime], modified: Mapping[str, float]) -> list[str]:
    """Files that hold another picture than was read. Their pages stay as they were read: marks hang on them."""
    from grader.intake.decode import load_page

    changed: dict[str, None] = {}
    suspects = (ref for ref, read in done.items() if _written_after(ref, read, modified))
    for ref in islice(suspects, _SUSPECTS):
        record = store.page_record(ref.file, ref.page)
        try:
            now = load_page(ref, job.form.channel, job.settings.pdf_dpi).sha256
        except PageError as error:
            if is_url(ref.file) and error.reason == "unreadable_file":  # what the storage does not give is not another
                continue
            now = ""
        if record is not None and record.result.sha256 != now:
            changed[ref.file] = None
    return sorted(changed)


def _written_after(ref: PageRef, moment: datetime, modified: Mapping[str, float]) -> bool:
    if is_url(ref.file):
        return modified.get(ref.file, -2.0) + 1 > moment.timestamp()  # storages tell whole seconds
    try:
        return path_of(ref).stat().st_mtime > moment.timestamp()
    except OSError:
        return False


def _claim(store: RunStore, job: Job, models: dict[str, str], begun: bool) -> None:
    """Make the run folder this job's, or refuse it. One in which nothing was read is anybody's."""
    wanted = {**job.describe(), "models": models}
    held = store.meta() if begun else {}
    differing = [key for key, value in wanted.items() if key in held and held[key] != value]
    if differing:
        what = " and ".join(dict.fromkeys(key.removesuffix("_sha256").removesuffix("_version") for key in differing))
        remedy = f"name another --out; to go on with this one, give the {what} that it began with"
        raise StoreError(f"{store.folder} holds a run that began with another {what}", remedy)
    if not held:
        store.set_meta(**wanted, form_folder=str(job.form_folder.resolve()), versions=versions())


def _keep_calibration(store: RunStore, job: Job) -> None:
    """A copy of the calibration in the run's folder, so that the run can be replayed wherever it is moved."""
    copy = store.folder / CALIBRATION
    if job.calibration is None or (copy.is_file() and copy.samefile(job.calibration)):
        return
    partial = copy.with_name(copy.name + ".partial")
    try:
        partial.write_bytes(job.calibration.read_bytes())
        os.replace(partial, copy)
    except OSError as error:
        what = f"the calibration cannot be copied to {store.folder}: {error.strerror or error}"
        raise StoreError(what, "make room, or the folder writable, and run the same command again") from error


def _journal(store: RunStore, entries: Iterator[Entry], patience: Patience) -> None:
    """Write entries in small transactions: memory stays bounded and little is lost when the power goes."""
    kept: list[Entry] = []
    last = time.monotonic()
    try:
        for entry in entries:
            kept.append(entry)
            if len(kept) >= _COMMIT_PAGES or time.monotonic() - last > _COMMIT_SECONDS:
                with stage("storing"):
                    patience(partial(store.record, kept))
                kept, last = [], time.monotonic()
    except BaseException:
        with suppress(StoreError):  # interrupted while there was no room: these are read again
            store.record(kept)
        raise
    with stage("storing"):
        patience(partial(store.record, kept))
