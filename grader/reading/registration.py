"""Where a form's page lies in a picture, and which page of the form it is.

The form names its methods in order; the first that fits within the form's limit is taken. A page whose
code says that it belongs to another paper is refused, however well it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from math import hypot
from pathlib import Path

import numpy as np

from grader.errors import PageError
from grader.exam.form import AnyMethod, CodeField, Form, PageForm
from grader.paper.pagecode import PageCode, parse
from grader.reading import fiducials
from grader.reading.codes import decode_anywhere, find_page_code
from grader.reading.kept import by_identity
from grader.reading.printed import fit_to_bubbles
from grader.records import Page, Registration

# method → module with locate(page, page_form, method, form, folder) -> list of (to_pixels 3x3 float64,
# residual in form units), best or all candidates. A module with HANDLES_TURNS = True finds a page that
# lies on its side or upside down by itself; for the others the picture is turned here.
_MODULES = {
    "fiducials": "grader.reading.fiducials",
    "markers": "grader.reading.markers",
    "bars": "grader.reading.bars",
    "contour": "grader.reading.contour",
    "features": "grader.reading.features",
    "whole": "grader.reading.whole",
}

Locate = Callable[[Page, PageForm, AnyMethod, Form, Path | None], list[tuple[np.ndarray, float]]]


def register(page: Page, form: Form, folder: Path | None = None) -> Registration:
    """Find the form's page in a picture. folder: where the form file and its reference pictures lie.

    Raises PageError: "no_fiducials" (nothing to go by), "residual" (a fit, but not close enough),
    "wrong_form" (the page code is of another paper), "code_damaged" (no page code where one is printed).
    """
    best: Registration | None = None
    misplaced: PageError | None = None
    for method in form.registration:
        for candidate in _candidates(page, form, method, folder):
            if best is None or candidate.residual < best.residual:
                best = candidate
        if best is not None and best.residual <= form.max_residual:
            try:
                return _with_code(page, form, best, form.max_residual)
            except PageError as error:
                if error.reason != "residual":
                    raise
                misplaced = error  # something was taken for a corner mark that is none
                break
    _refuse_foreign(page, form)
    found = _by_three_marks(page, form)
    if found is not None:
        return found
    if misplaced is not None:
        raise misplaced
    if best is None:
        raise PageError("no_fiducials", "the marks that say where the page lies were not found", _REMEDY)
    raise _too_far(form, best.residual, "its marks are not where the form has them")


_ANYWHERE_NEAR = 5.0  # of the limit: three marks say less exactly than four where the page code is
_REMEDY = "scan the whole page flat, with all corner marks in the picture"


def _candidates(page: Page, form: Form, method: AnyMethod, folder: Path | None) -> Iterator[Registration]:
    """Every place where a page of the form may lie, by one method."""
    module = import_module(_MODULES[method.method])
    pages = form.pages[:1] if _alike(form) else form.pages  # the page code tells alike pages apart
    turns = (0, 1, 2, 3) if form.rotations and not getattr(module, "HANDLES_TURNS", False) else (0,)
    for page_form in pages:
        for turn in turns:
            for matrix, residual in _locate_turned(module.locate, page, page_form, method, form, folder, turn):
                yield Registration(page_form.number, matrix, residual, method.method)


def _by_three_marks(page: Page, form: Form) -> Registration | None:
    """A page of grader's own paper with one corner mark covered or torn off: three marks and the page code say
    where it lies, and its bubbles must be there."""
    if form.registration[0].method != "fiducials" or not _alike(form):
        return None
    for matrix, residual in fiducials.locate_by_three(page, form.pages[0]):
        found = Registration(form.pages[0].number, matrix, residual, "fiducials")
        try:
            coded = _with_code(page, form, found, _ANYWHERE_NEAR * form.max_residual)
        except PageError:
            continue
        fitted, off = fit_to_bubbles(page, form.page(coded.page_number), (matrix, residual))
        if off <= form.max_residual / 2:  # less evidence than four marks, so a stricter limit
            return replace(coded, to_pixels=fitted, residual=off)
    return None


def _locate_turned(
    locate: Locate, page: Page, page_form: PageForm, method: AnyMethod, form: Form, folder: Path | None, turn: int
) -> list[tuple[np.ndarray, float]]:
    """`locate` on the picture turned by `turn` quarter turns counterclockwise, in pixels of the picture itself."""
    if not turn:
        return locate(page, page_form, method, form, folder)
    turned = replace(page, picture=np.ascontiguousarray(np.rot90(page.gray, turn)), coarse=None)
    back = _turn_back(page.gray.shape, turn)
    return [(back @ matrix, r) for matrix, r in locate(turned, page_form, method, form, folder)]


def _turn_back(shape: tuple[int, ...], turn: int) -> np.ndarray:
    """3x3 matrix from pixels of np.rot90(picture, turn) to pixels of the picture (height x width `shape`)."""
    bottom, right = shape[0] - 1, shape[1] - 1
    return {
        1: np.array([[0.0, -1, right], [1, 0, 0], [0, 0, 1]]),
        2: np.array([[-1.0, 0, right], [0, -1, bottom], [0, 0, 1]]),
        3: np.array([[0.0, 1, 0], [-1, 0, bottom], [0, 0, 1]]),
    }[turn]


# --- the page code --------------------------------------------------------------------------------------


@by_identity
def _version(form: Form) -> str:
    return form.version


@by_identity
def _alike(form: Form) -> bool:
    """True if all pages have the same registration marks and a page code at the same place."""
    looks = {(p.width, p.height, p.fiducials, code_field(p)) for p in form.pages}
    return len(looks) == 1 and code_field(form.pages[0]) is not None


def code_field(page_form: PageForm) -> CodeField | None:
    """The field of the page code, or None where the form has none."""
    for field in page_form.fields:
        if isinstance(field, CodeField) and field.page_code:
            return field
    return None


def _with_code(page: Page, form: Form, found: Registration, limit: float) -> Registration:
    """The registration with the page number that the page code gives. limit: how far off it may be, in form units.

    Raises PageError as `register`.
    """
    field = code_field(form.page(found.page_number))
    if field is None:
        return found
    seen = find_page_code(page, found.to_pixels, field)
    text = seen.text if seen is not None else decode_anywhere(page.gray, ("QR",))
    if not text:
        raise PageError("code_damaged", "the page code cannot be read", "scan the page again, or enter it by hand")
    code = parse(text)
    if code is None:
        raise PageError("code_damaged", "the page code is damaged, or it is not one of grader's", "check the page")
    _check_code(code, form)
    if seen is None:
        raise _too_far(form, found.residual, "its code is not where the form has it")
    off = hypot(seen.centre[0] - field.x - field.w / 2, seen.centre[1] - field.y - field.h / 2)
    residual = max(found.residual, off)  # the code took no part in the fit: it is evidence
    if residual > limit:
        raise _too_far(form, residual, "its code is too far from its place")
    return replace(found, page_number=code.page, residual=residual, code=text)


def _too_far(form: Form, residual: float, what: str) -> PageError:
    by = f"by {residual:.2f} {form.unit}" if residual < float("inf") else "altogether"
    message = f"the page misses the form {by} ({what}; the limit is {form.max_residual:g} {form.unit})"
    return PageError("residual", message, _REMEDY)


def _check_code(code: PageCode, form: Form) -> None:
    """Raises PageError("wrong_form") where the code is of another exam, another print or no page of the form."""
    remedy = "give the form.json that was printed with this paper, or take the page out"
    if form.exam is not None and code.exam != form.exam:
        raise PageError("wrong_form", f"the page belongs to the exam {code.exam!r}, not {form.exam!r}", remedy)
    if code.version != _version(form):
        message = f"the page was printed as version {code.version} of the form, not {_version(form)}"
        raise PageError("wrong_form", message, remedy)
    if code.page not in {page_form.number for page_form in form.pages}:
        raise PageError("wrong_form", f"the form has no page {code.page}", remedy)


def _refuse_foreign(page: Page, form: Form) -> None:
    """A page that does not fit may say itself that it is of another paper."""
    if any(code_field(page_form) for page_form in form.pages):
        code = parse(decode_anywhere(page.gray, ("QR",)))
        if code is not None:
            _check_code(code, form)
