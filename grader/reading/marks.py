"""Which bubbles are marked. It never invents: what is not clear is a flag, not a mark.

Every bubble is compared with what it looked like when printed: a given blank form, or else the paler half
of the same sheet's bubbles with the same label. What is left is ink, in two measures:

    cover   share of the bubble under ink as dark as this sheet's marks (a fill 1, a tick about 0.15)
    tone    mean darkness added (an erased mark has some tone and no cover)

The limits come from the sheet: how much its blank bubbles scatter, and how dark its marks are.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from grader.exam.form import MarksField, PageForm
from grader.flags import check
from grader.reading.patches import Layout, Patches, layout, sample
from grader.records import Box, Bubble, Page, Reading, Registration

GAP = "_"  # stands for an empty position among filled ones


@dataclass(frozen=True)
class _Limits:
    """cover below blank[style] is blank, from marked[style] on a mark; between is doubt. tone: of a residue."""

    blank: dict[str, float]
    marked: dict[str, float]
    tone: float


_COVER = {"any": (0.05, 0.10), "fill": (0.15, 0.35)}
_FAINTEST = 0.14  # a mark adds at least this much darkness where it is darkest
_UNLIT = 0.35  # where "paper" is so much darker than the page's, a bubble is hidden rather than blank
_RESIDUE = 0.05
_FILLED = 0.5


def read_marks(
    page: Page, page_form: PageForm, registration: Registration, *, reference: np.ndarray | None = None
) -> list[Reading]:
    """One Reading for every MarksField of the page, in the form's order.

    reference: gray picture of the whole blank page, edge to edge, at any scale. Flags: mark_doubtful,
    multiple_marks, erased, cancelled, field_outside.
    """
    plan = layout(page_form)
    if plan is None:
        return []
    patches = sample(page.gray, registration.to_pixels, plan)
    printed = _reference(reference, page_form, plan, patches) if reference is not None else _printed(plan, patches)
    measured = _measure(plan, patches, printed)
    return _readings(plan, registration, measured, _limits(measured))


# --- what the bubbles looked like when blank ------------------------------------------------------------


def _printed(plan: Layout, patches: Patches) -> np.ndarray:
    """Darkness of each patch as printed, from the sheet itself (n x rows x columns).

    For each look the paler half of its bubbles, pixel by pixel the median. A look that is seen too seldom,
    or whose paler half is far darker than the sheet's palest bubbles (it may be all marked), is taken as
    evenly gray instead, at the known baseline or that of the palest.
    """
    means = _mean(patches.darkness, patches.inner)
    floor = float(np.percentile(means, 20))
    printed = np.empty_like(patches.darkness)
    for kind in range(int(plan.kinds.max()) + 1):
        members = np.flatnonzero(plan.kinds == kind)
        palest = members[np.argsort(means[members], kind="stable")[: max(1, len(members) // 2)]]
        known = float(np.nanmean(plan.baseline[members])) if np.isfinite(plan.baseline[members]).any() else None
        expected = floor if known is None else known
        level = float(means[palest].mean())
        if len(palest) >= 2 and level <= expected + (0.10 if known is None else 0.06):
            pattern = np.median(patches.darkness[palest], axis=0)
            printed[members] = cv2.dilate(pattern, np.ones((3, 3), np.uint8))
        else:
            printed[members] = min(expected, 0.3)
    return printed


def _reference(picture: np.ndarray, page_form: PageForm, plan: Layout, patches: Patches) -> np.ndarray:
    """Darkness of each patch on the blank form (n x rows x columns)."""
    scale = np.diag([picture.shape[1] / page_form.width, picture.shape[0] / page_form.height, 1.0])
    blank = sample(picture, scale, plan).darkness
    rows, columns = patches.darkness.shape[1:]
    kernel = np.ones((3, 3), np.uint8)
    return np.stack([cv2.dilate(cv2.resize(patch, (columns, rows)), kernel) for patch in blank])


# --- measures -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Measured:
    """Per bubble: see the module. depth: darkness of its darkest ink. runs: strokes that cross the edge of
    the patch. unclear: the bubble cannot be seen."""

    cover: np.ndarray
    tone: np.ndarray
    depth: np.ndarray
    runs: np.ndarray
    outside: np.ndarray
    unclear: np.ndarray
    darkness: np.ndarray


def _measure(plan: Layout, patches: Patches, printed: np.ndarray) -> _Measured:
    added = patches.darkness - printed
    inner = patches.inner
    tone = _mean(added, inner)
    palest = tone <= np.median(tone)
    depth = _top(added, inner)
    base, spread = _centre(tone[palest])
    candidates = tone > base + max(0.04, 6 * spread)
    ink = float(np.median(depth[candidates])) if candidates.any() else 0.5
    noise = float(np.std(np.clip(added[palest][inner[palest]], -0.2, 0.2)))
    dark = added > max(0.08, 3 * noise, 0.4 * max(ink, 0.2))
    free = inner & (printed < 0.5)  # ink on top of print cannot be told from print
    cover = _mean(dark, np.where(free.sum(axis=(1, 2), keepdims=True) > 0, free, inner))
    solid = np.clip(tone / np.maximum(1 - _mean(printed, inner), 0.2), 0, 1)
    return _Measured(
        cover, tone - base, depth, _runs(dark, plan), patches.outside, patches.light < _UNLIT, solid
    )


def _mean(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Mean of each patch over the samples in `where` (n)."""
    return np.einsum("nij,nij->n", values.astype(np.float32), where.astype(np.float32)) / where.sum(axis=(1, 2))


def _top(added: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The darkness that an eighth of the samples inside exceed (n)."""
    flat = np.where(inner, added, -1).reshape(len(added), -1)
    ordered = np.sort(flat, axis=1)
    rank = flat.shape[1] - 1 - inner.sum(axis=(1, 2)) // 8
    return np.take_along_axis(ordered, rank[:, None], axis=1)[:, 0]


def _centre(values: np.ndarray) -> tuple[float, float]:
    """Median and robust standard deviation."""
    middle = float(np.median(values))
    return middle, 1.4826 * float(np.median(np.abs(values - middle)))


def _runs(dark: np.ndarray, plan: Layout) -> np.ndarray:
    """How many strokes leave each patch, counted around its border; 0 where a neighbour is too near."""
    ring = np.concatenate([dark[:, 0, :], dark[:, 1:, -1], dark[:, -1, -2::-1], dark[:, -2:0:-1, 0]], axis=1)
    starts = (ring & ~np.roll(ring, 1, axis=1)).sum(axis=1)
    return np.where((plan.reach >= 1.25).all(axis=1), starts, 0)


def _limits(measured: _Measured) -> _Limits:
    """Limits of this sheet: never below the fixed ones, wider where blank bubbles scatter."""
    palest = measured.tone <= np.median(measured.tone)
    base, spread = _centre(measured.cover[palest])
    base = min(base, 0.25)  # print inside a bubble covers no more; else most bubbles are marked
    tone_spread = _centre(measured.tone[palest])[1]
    blank = {style: base + max(low, 5 * spread) for style, (low, _) in _COVER.items()}
    marked = {style: base + max(high, 8 * spread) for style, (_, high) in _COVER.items()}
    return _Limits(blank, marked, max(_RESIDUE, 6 * tone_spread))


# --- verdicts -------------------------------------------------------------------------------------------


def _readings(plan: Layout, registration: Registration, measured: _Measured, limits: _Limits) -> list[Reading]:
    boxes = _boxes(plan, registration.to_pixels)
    readings = []
    for number, field in enumerate(plan.fields):
        members = np.flatnonzero(plan.owner == number)
        readings.append(_read_field(field, members, measured, limits, boxes[number]))
    return readings


def _read_field(field: MarksField, members: np.ndarray, measured: _Measured, limits: _Limits, box: Box) -> Reading:
    flags: list[str] = []
    parts: list[str] = []
    verdicts = {int(i): _verdict(int(i), field.style, measured, limits) for i in members}
    positions = sorted({bubble.position for bubble in field.bubbles})
    bubbles: list[Bubble] = []
    for position in positions:
        here = [(int(i), b) for i, b in zip(members, field.bubbles, strict=True) if b.position == position]
        chosen = [i for i, _ in here if verdicts[i] is True]
        residues = [i for i, _ in here if verdicts[i] is False and measured.tone[i] > limits.tone]
        if residues and chosen:
            flags.append("erased")
        for i in residues if not chosen else ():
            verdicts[i] = None
        if any(verdicts[i] is None for i, _ in here):
            flags.append("mark_doubtful")
        if len(chosen) > 1 and not field.multiple:
            flags.append("multiple_marks")
        if any(measured.cover[i] > _FILLED and measured.runs[i] >= 3 for i in chosen):
            flags.append("cancelled")
        if any(measured.outside[i] for i, _ in here):
            flags.append("field_outside")
        parts.append("".join(b.label for i, b in here if i in chosen))
        bubbles.extend(Bubble(position, b.label, round(float(measured.darkness[i]), 4), verdicts[i]) for i, b in here)
    value = "".join(parts)
    if value and len(positions) > 1:
        value = "".join(part or GAP for part in parts)
        if GAP in value:
            flags.append("mark_doubtful")
    confidence = _confidence(field, members, measured, limits)
    return Reading(field.id, "marks", value, confidence, check(tuple(flags)), box, tuple(bubbles))


def _verdict(i: int, style: str, measured: _Measured, limits: _Limits) -> bool | None:
    """True: marked, False: blank, None: neither is certain."""
    if measured.outside[i] or measured.unclear[i]:
        return None
    if measured.cover[i] < limits.blank[style]:
        return False
    if measured.cover[i] >= limits.marked[style] and measured.depth[i] >= _FAINTEST:
        return True
    return None


def _confidence(field: MarksField, members: np.ndarray, measured: _Measured, limits: _Limits) -> float:
    """How far the field's least certain bubble is from the limits: 0.5 on them, 1 far away."""
    middle = (limits.blank[field.style] + limits.marked[field.style]) / 2
    ratio = np.maximum(measured.cover[members], 0) / middle
    sure = np.where(ratio < 1, 1 - 0.5 * ratio**2, 1 - 0.5 / np.maximum(ratio, 1) ** 2)
    sure[measured.outside[members] | measured.unclear[members]] = 0
    return round(float(sure.min()), 4)


def _boxes(plan: Layout, to_pixels: np.ndarray) -> list[Box]:
    """Upright bounding box of each field in pixels."""
    low, high = plan.centres - plan.sizes / 2, plan.centres + plan.sizes / 2
    corners = np.stack([low, np.c_[high[:, 0], low[:, 1]], high, np.c_[low[:, 0], high[:, 1]]], axis=1)
    at = cv2.perspectiveTransform(corners.reshape(1, -1, 2), to_pixels)[0].reshape(corners.shape)
    boxes = []
    for number in range(len(plan.fields)):
        points = at[plan.owner == number].reshape(-1, 2)
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        boxes.append((float(x0), float(y0), float(x1 - x0), float(y1 - y0)))
    return boxes
