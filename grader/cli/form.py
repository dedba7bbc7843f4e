"""grader form: draft, check and describe the forms of papers printed elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import numpy as np


@click.group("form")
def command() -> None:
    """Draft or check the form of a paper printed elsewhere."""


@command.command("draft")
@click.argument("reference", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for form.json and draft.png.")
def draft(reference: Path, out: Path) -> None:
    """Propose a form from the picture REFERENCE of a blank, flat, upright paper.

    Writes form.json, the picture itself as reference.png and draft.png, the proposal drawn over it. Names and
    labels are guesses: correct them in form.json and look again with `grader form check`.
    """
    from grader.errors import UsageError
    from grader.exam.form import MarksField
    from grader.intake.decode import load_page
    from grader.reading.draft import draft_form
    from grader.reading.overlay import draw_form
    from grader.records import PageRef

    gray = load_page(PageRef(str(reference))).gray
    form = draft_form(gray, reference.stem, "reference.png")
    try:
        out.mkdir(parents=True, exist_ok=True)
        form.save(out / "form.json")
        _write(out / "reference.png", gray)
        _write(out / "draft.png", draw_form(gray, form.pages[0], 1.0))
    except OSError as error:
        raise UsageError(f"{out} cannot be written ({error.strerror})", "choose another --out") from error
    page = form.pages[0]
    marks = [field for field in page.fields if isinstance(field, MarksField)]
    click.echo(
        f"{len(marks)} fields with {sum(len(field.bubbles) for field in marks)} bubbles, "
        f"{len(page.fields) - len(marks)} boxes, registration by {form.registration[0].method}; "
        f"look at {out / 'draft.png'}",
        err=True,
    )


@command.command("check")
@click.argument("form_path", metavar="FORM", type=click.Path(path_type=Path))
@click.argument("image", required=False, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="PNG to write (IMAGE's name with .form.png by default).")
def check(form_path: Path, image: Path | None, out: Path | None) -> None:
    """Check FORM (form.json or an OMRChecker template.json); with IMAGE, register it and draw the form over it."""
    from grader.errors import UsageError
    from grader.intake.decode import load_page
    from grader.reading.overlay import draw_form, flatten
    from grader.reading.registration import register
    from grader.reading.table import open_form
    from grader.records import PageRef

    form, folder = open_form(form_path)
    fields = sum(len(page.fields) for page in form.pages)
    click.echo(f"{form_path}: {len(form.pages)} pages, {fields} fields, version {form.version}", err=True)
    if image is None:
        return
    page = load_page(PageRef(str(image)), form.channel)
    found = register(page, form, folder)
    page_form = form.page(found.page_number)
    flat, scale = flatten(page.gray, page_form, found.to_pixels)
    picture = draw_form(flat, page_form, scale)
    target = out or image.with_name(f"{image.stem}.form.png")
    try:
        _write(target, picture)
    except OSError as error:
        raise UsageError(f"{target} cannot be written ({error.strerror})", "choose another --out") from error
    click.echo(
        f"page {found.page_number} by {found.method}, residual {found.residual:.2f} of at most "
        f"{form.max_residual:g} {form.unit}; look at {target}",
        err=True,
    )


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema of form.json."""
    from grader.exam.form import Form

    click.echo(json.dumps(Form.model_json_schema(), ensure_ascii=False, indent=1))


def _write(path: Path, picture: np.ndarray) -> None:
    """Write a picture as PNG."""
    import cv2

    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
