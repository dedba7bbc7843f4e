"""grader run: mark a batch of scans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from grader.run.job import Job


@click.command("run")
@click.argument("exam", type=click.Path(path_type=Path))
@click.option("--form", type=click.Path(path_type=Path), help="form.json of the printed paper.")
@click.option("--plain", is_flag=True, help="Plain paper, items numbered by hand; needs --candidates.")
@click.option(
    "--scans",
    "scans",
    required=True,
    multiple=True,
    help="Files or folders of scans, or URLs of a shared storage: s3://bucket/folder.",
)
@click.argument("more_scans", nargs=-1)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Run folder; run again to resume.")
@click.option("--candidates", type=click.Path(path_type=Path), help="Roster CSV with a column `candidate`.")
@click.option("--workers", type=click.IntRange(1), help="Worker processes; one a core by default.")
@click.option("--executor", default="local", show_default=True, help="Where pages are read: local, serial or ray.")
@click.option("--address", help="Ray cluster for --executor ray: HOST:PORT of its head; auto by default.")
@click.option("--ocr", default="ppocr", show_default=True, help="OCR engine, as in grader ocr.")
@click.option("--scorer", default="auto", show_default=True, help="Scorer of short answers: encoder or lexical.")
@click.option("--calibration", type=click.Path(path_type=Path), help="What grader calibrate learned of this exam.")
@click.option("--pdf-dpi", default=200, show_default=True, type=click.IntRange(72, 600), help="For vector PDF pages.")
@click.option(
    "--page-seconds",
    default=120.0,
    show_default=True,
    type=click.FloatRange(min=1),
    help="Time limit for one page.",
)
@click.option(
    "--page-memory",
    default=2048,
    show_default=True,
    type=click.IntRange(min=256),
    help="MiB that a worker may grow by for one page.",
)
@click.option(
    "--retry",
    is_flag=True,
    help="Read pages again that stopped their worker, took too long or too much memory, met an error of ours "
    "or could not be opened.",
)
@click.option(
    "--wait-for-room",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Minutes to wait for room on a full disk, or for a storage that does not answer.",
)
@click.option(
    "--admission/--no-admission",
    default=True,
    help="Refuse a batch whose first pages do not fit the form, have too few pixels, or whose result has no room.",
)
@click.option(
    "--database",
    envvar="GRADER_DATABASE",
    help="Publish the results there: postgresql+psycopg://user@host/name (or in GRADER_DATABASE).",
)
@click.option("--json-progress", is_flag=True, help="Progress as JSON, one object a line, on stderr.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Serve Prometheus metrics of the run here.")
@click.option("--metrics-host", default="127.0.0.1", show_default=True, help="Address to serve them at.")
def command(
    exam: Path,
    form: Path | None,
    plain: bool,
    scans: tuple[str, ...],
    more_scans: tuple[str, ...],
    out: Path,
    candidates: Path | None,
    workers: int | None,
    executor: str,
    address: str | None,
    ocr: str,
    scorer: str,
    calibration: Path | None,
    pdf_dpi: int,
    page_seconds: float,
    page_memory: int,
    retry: bool,
    wait_for_room: float,
    admission: bool,
    database: str | None,
    json_progress: bool,
    metrics_port: int | None,
    metrics_host: str,
) -> int:
    """Mark the SCANS of EXAM into the run folder --out.

    Writes results.csv, ledger.csv, run.json and run.sqlite. Run the same command again to resume.

    Plain paper: each page's file lies in a folder named by its candidate, or its name begins so (1003-2.jpg), or
    the candidate's number or name stands at the top of the page.
    """
    import signal

    from grader import registry
    from grader.cli.progress import watching
    from grader.cli.publishing import Publishing
    from grader.errors import UsageError
    from grader.run.batch import exit_code, run_batch
    from grader.run.patience import Patience

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a machine that is shut down interrupts, as Ctrl-C does
    publishing = Publishing(database)
    if plain == (form is not None):
        raise UsageError("a run has a printed form or plain paper", "give --form FORM, or --plain")
    if plain and candidates is None:
        raise UsageError("plain paper needs the list of candidates", "give --candidates ROSTER.csv")
    if address is not None and executor != "ray":
        raise UsageError("--address is of a Ray cluster", "give --executor ray with it")
    job = _job(exam, form, candidates, calibration, ocr=ocr, scorer=scorer, pdf_dpi=pdf_dpi)
    limits = {"page_seconds": page_seconds, "page_memory": page_memory}
    where = {"address": address} if address is not None else {}
    engine = registry.create("executor", executor, workers=workers, **limits, **where)
    patience = Patience(60 * wait_for_room, lambda text: click.echo(text, err=True))
    with watching(json_progress, metrics_host, metrics_port) as show:
        summary = run_batch(job, [*scans, *more_scans], out, engine, show, patience, admission, retry)
    report(summary, out)
    return max(exit_code(summary), publishing.publish(out))


def _job(exam: Path, form: Path | None, candidates: Path | None, calibration: Path | None, **settings: Any) -> Job:
    """What is marked and how. form: None for plain paper. settings: as grader.run.job.Settings names them."""
    from grader.exam.form import load_form
    from grader.exam.load import load_exam
    from grader.exam.plain import plain_form
    from grader.reading.roster import Roster
    from grader.run.job import Job, Settings, check_form_fits
    from grader.scoring import calibration_file

    loaded_exam = load_exam(exam)
    loaded_form = load_form(form) if form is not None else plain_form(loaded_exam)
    if form is not None:
        check_form_fits(loaded_exam, loaded_form, form)
    roster = Roster.load(candidates) if candidates else None
    learned = calibration_file.read(calibration).sha256 if calibration else ""
    chosen = Settings(**settings, calibration=learned)
    return Job(loaded_exam, loaded_form, (form or exam).parent, roster, chosen, calibration)


def report(summary: dict[str, Any], out: Path) -> None:
    """The run in a few lines, on stderr."""
    counts, seconds = summary["counts"], summary["seconds"]["wall"]
    pages = counts["pages"] - summary["resumed_pages"]
    lines = [
        f"{counts['pages']} pages: {counts['read']} read, {counts['rejected']} rejected, "
        f"{counts['duplicate']} duplicate, {counts['unmatched']} unmatched; {counts['missing']} missing",
        f"{counts['responses']} answers: {counts['final']} final, {counts['proposed']} proposed, "
        f"{counts['review']} for review",
        f"{pages} pages read in {seconds:.1f} s ({pages / seconds:.1f} pages/s){_held_up(summary)}",
        f"results: {out / 'results.csv'}  ledger: {out / 'ledger.csv'}",
        f"to look at: grader report {out} --out {out / 'report'}",
    ]
    if counts["rejected"] or counts["unmatched"]:
        lines.append("pages not read: the ledger says why; put new scans beside them and run the same command again")
    if changed := summary["changed_files"]:
        lines.append(
            f"{len(changed)} files hold another scan than was read ({changed[0]}) and were not read again: "
            "give new scans new file names"
        )
    for line in lines:
        click.echo(line, err=True)


def _held_up(summary: dict[str, Any]) -> str:
    """What took most of the time."""
    if (bottleneck := summary["bottleneck"]) is None:
        return ""
    held = bottleneck["waited_for"]
    waited = f"; workers waited for the {held}" if held not in ("", "start") else ""
    return f", {bottleneck['share']:.0%} of it {bottleneck['stage']}{waited}"
