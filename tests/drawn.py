"""Answer sheets drawn straight from a form, for tests of the reader: paper, marks and degradation, no fonts."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import segno

from grader.exam.form import BubbleBox, CodeField, Fiducial, Form, MarksField, PageForm, TextField
from grader.paper.pagecode import PageCode
from grader.records import Page, PageRef

WIDTH, HEIGHT = 210.0, 297.0


def sheet_form(items: int = 40, digits: int = 8, exam: str = "physics", pages: int = 1) -> Form:
    """An A4 form like those that grader prints: corner marks, page code, candidate grid, choice items."""
    corners = ((10, 10, "ring"), (200, 10, "ring"), (10, 287, "ring"), (200, 287, "square"))
    fiducials = tuple(Fiducial(x=x, y=y, size=7, kind=kind) for x, y, kind in corners)
    fields: list = [CodeField(id="page", role="other", x=168, y=18, w=22, h=22, page_code=True)]
    grid = [
        BubbleBox(label=str(d), position=p, x=20 + 7 * p, y=50 + 5 * d, w=5, h=3)
        for p in range(digits)
        for d in range(10)
    ]
    fields.append(MarksField(id="candidate", role="candidate", bubbles=tuple(grid)))
    fields.append(
        TextField(id="digits", role="candidate", x=20, y=38, w=7.0 * digits, h=8, alphabet="digits", cells=digits)
    )
    for number in range(items):
        column, row = divmod(number, 20)
        bubbles = tuple(
            BubbleBox(label=label, x=24 + 45 * column + 8 * k, y=120 + 7 * row, w=5, h=3)
            for k, label in enumerate("ABCD")
        )
        item = str(number + 1)
        fields.append(MarksField(id=item, item=item, bubbles=bubbles, multiple=number >= items - 2))
    drawn = [
        PageForm(number=n + 1, width=WIDTH, height=HEIGHT, fiducials=fiducials, fields=tuple(fields))
        for n in range(pages)
    ]
    return Form(id="drawn", exam=exam, pages=tuple(drawn))


def draw(
    form: Form,
    marks: Mapping[str, str],
    *,
    candidate: str = "",
    number: int = 1,
    dpi: int = 200,
    style: str = "fill",
    ink: int = 50,
    code: str | None = None,
    seed: int = 0,
) -> np.ndarray:
    """A filled page (uint8). marks: field → labels; for the digit grid one label a position, "_" for none."""
    page_form = form.page(number)
    scale = dpi / 25.4
    gray = np.full((round(page_form.height * scale), round(page_form.width * scale)), 245, np.uint8)
    for fiducial in page_form.fiducials:
        _fiducial(gray, fiducial, scale)
    rng = np.random.default_rng(seed)
    for field in page_form.fields:
        if isinstance(field, CodeField):
            text = code if code is not None else PageCode(form.exam or "", form.version, number, candidate).encode()
            _qr(gray, field, text, scale)
        elif isinstance(field, MarksField):
            _bubbles(gray, field, marks.get(field.id, ""), scale, style, ink, rng)
        elif isinstance(field, TextField):
            _rectangle(gray, (field.x, field.y, field.w, field.h), scale, 120)
    return gray


def page_of(gray: np.ndarray, name: str = "drawn.png") -> Page:
    return Page(PageRef(name), gray, None, "0" * 64)


def mark(gray: np.ndarray, bubble: BubbleBox, style: str, ink: int, rng: np.random.Generator, scale: float) -> None:
    """A fill, tick, cross or smudge on one bubble, as a hand would make it: not quite in place."""
    shift = rng.normal(0, 0.2, 2)
    x, y = (bubble.x + bubble.w / 2 + shift[0]) * scale, (bubble.y + bubble.h / 2 + shift[1]) * scale
    w, h = bubble.w * scale, bubble.h * scale
    layer = gray.copy()
    pen = max(2, round(0.5 * scale))
    if style == "fill":
        for offset in np.linspace(-0.36, 0.36, 7):
            ends = ((x - 0.42 * w, y + offset * h), (x + 0.42 * w, y + (offset + rng.normal(0, 0.04)) * h))
            cv2.line(layer, *[(round(a), round(b)) for a, b in ends], ink, pen, cv2.LINE_AA)
    elif style == "smudge":
        cv2.rectangle(layer, (round(x - w / 3), round(y - h / 3)), (round(x + w / 3), round(y + h / 3)), ink, -1)
    else:
        strokes = {
            "cross": (((-0.4, -0.45), (0.4, 0.45)), ((-0.4, 0.45), (0.4, -0.45))),
            "tick": (((-0.3, 0.0), (-0.05, 0.42)), ((-0.05, 0.42), (0.45, -0.5))),
        }[style]
        for start, end in strokes:
            ends = [(round(x + a * w), round(y + b * h)) for a, b in (start, end)]
            cv2.line(layer, ends[0], ends[1], ink, pen, cv2.LINE_AA)
    gray[:] = np.minimum(gray, layer)


def scan(
    gray: np.ndarray,
    seed: int = 0,
    *,
    angle: float = 0.0,
    blur: float = 0.6,
    noise: float = 4.0,
    shadow: float = 0.0,
    perspective: float = 0.0,
    quality: int = 85,
    background: int = 245,
    margin: int = 0,
) -> np.ndarray:
    """The page as a scanner or a phone gives it. angle: degrees; perspective: share of the sides."""
    matrix = scan_matrix(gray.shape, seed, angle=angle, perspective=perspective, margin=margin)
    size = (gray.shape[1] + 2 * margin, gray.shape[0] + 2 * margin)
    out = cv2.warpPerspective(gray, matrix, size, flags=cv2.INTER_LINEAR, borderValue=background)
    rng = np.random.default_rng(seed)
    width, height = size
    if blur:
        out = cv2.GaussianBlur(out, (0, 0), blur)
    light = 1 - shadow * np.linspace(0, 1, width)[None, :] * np.linspace(0.4, 1, height)[:, None]
    out = np.clip(out * light + rng.normal(0, noise, out.shape), 0, 255).astype(np.uint8)
    return cv2.imdecode(cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_GRAYSCALE)


def scan_matrix(
    shape: tuple[int, ...], seed: int, *, angle: float = 0.0, perspective: float = 0.0, margin: int = 0
) -> np.ndarray:
    """3x3 matrix from pixels of a drawn page to pixels of its scan."""
    rng = np.random.default_rng(seed)
    height, width = shape[0] + 2 * margin, shape[1] + 2 * margin
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    inwards = np.array([[width, height], [-width, height], [-width, -height], [width, -height]], np.float32)
    shares = rng.uniform(0, perspective, (4, 2)).astype(np.float32)
    warp = cv2.getPerspectiveTransform(corners, corners + shares * inwards)
    turn = np.vstack([cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0), [0, 0, 1]])
    return turn @ warp @ np.array([[1.0, 0, margin], [0, 1, margin], [0, 0, 1]])


def _fiducial(gray: np.ndarray, fiducial: Fiducial, scale: float) -> None:
    shares = ((1.0, 0), (5 / 7, 255), (3 / 7, 0)) if fiducial.kind == "ring" else ((1.0, 0),)
    for share, value in shares:
        half = fiducial.size * share / 2
        ends = [(round((fiducial.x + s * half) * scale), round((fiducial.y + s * half) * scale)) for s in (-1, 1)]
        gray[ends[0][1] : ends[1][1], ends[0][0] : ends[1][0]] = value


def _qr(gray: np.ndarray, field: CodeField, text: str, scale: float) -> None:
    modules = np.array([list(row) for row in segno.make_qr(text, error="m").matrix_iter(border=2)], np.uint8)
    size = (round(field.w * scale), round(field.h * scale))
    picture = cv2.resize(np.where(modules > 0, 0, 255).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    x, y = round(field.x * scale), round(field.y * scale)
    gray[y : y + size[1], x : x + size[0]] = picture


def _bubbles(
    gray: np.ndarray, field: MarksField, marked: str, scale: float, style: str, ink: int, rng: np.random.Generator
) -> None:
    many = len({bubble.position for bubble in field.bubbles}) > 1
    for bubble in field.bubbles:
        _rectangle(gray, (bubble.x, bubble.y, bubble.w, bubble.h), scale, 110)
        at = (round((bubble.x + 1.8) * scale), round((bubble.y + 2.3) * scale))
        cv2.putText(gray, bubble.label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.05 * scale, 150, 1, cv2.LINE_AA)
        chosen = marked[bubble.position : bubble.position + 1] if many else marked
        if bubble.label in chosen:
            mark(gray, bubble, style, ink, rng, scale)


def _rectangle(gray: np.ndarray, box: tuple[float, float, float, float], scale: float, value: int) -> None:
    x, y, w, h = box
    start, end = (round(x * scale), round(y * scale)), (round((x + w) * scale), round((y + h) * scale))
    cv2.rectangle(gray, start, end, value, 1)
