"""Which bubbles are marked. It never invents: what is not clear is a flag, not a mark.

Every bubble is compared with what it looked like when printed: a given blank form, or else the paler half
of the same sheet's bubbles with the same label. What is left is ink, in two measures:

    cover   share of the bubble under ink as dark as this sheet's marks (a fill 1, a tick about 0.15)
    tone    mean darkness added (an erased mark has some tone and no cover)

The limits come from the sheet: how much its blank bubbles scatter, and how dark its marks are.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import NamedTuple

import cv2
import numpy as np

from grader.exam.form import MarksField, PageForm
from grader.flags import check
from grader.reading.kept import by_identity
from grader.reading.patches import Layout, Patches, View, details, layout, sample, view, whole
from grader.reading.tone import ToneLimits, local_tone, median, tone_limits
from grader.records import Box, Bubble, Page, Reading, Registration

GAP = "_"  # stands for an empty position among filled ones


@dataclass(frozen=True, eq=False)
class _Limits:
    """For each bubble: below `blank` its cover is blank, from `marked` on a mark; between is doubt.

    tone: the same for tone; with more than its `blank` a bubble that has no cover holds a residue, as of an
    erased mark. fills: only filled bubbles count.
    """

    blank: np.ndarray
    marked: np.ndarray
    tone: ToneLimits
    fills: np.ndarray


_COVER = {"any": (0.05, 0.10), "fill": (0.15, 0.35)}
_FAINTEST = 0.14  # a mark adds at least this much darkness where it is darkest
_UNLIT = 0.35  # where "paper" is so much darker than the page's, a bubble is hidden rather than blank
_AMPLE = 0.6  # share of the inside that print must leave free
_HEAVY = 0.2  # print inside one kind of bubble may be darker than inside another by this much
_SHALLOW = 0.45  # an erased mark is less deep than this share of a mark
_FILLED = 0.4
_ENOUGH = 6  # blank bubbles show what is printed
_STROKE_END = 0.1  # share of the field off a corner under ink, from which a stroke runs out there
_PRINT = 0.2  # from this darkness on a blank bubble shows its letter, which is no noise
_NEIGHBOURS = np.ones((3, 3), np.uint8)  # printed letters may be off by a sample


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
    seen = view(page, registration.to_pixels, plan)
    patches = sample(seen, plan)
    printed = _reference(reference, page_form, plan, patches) if reference is not None else _printed(plan, patches)
    measured = _measure(plan, patches, printed)
    judged = _judge(plan, patches, measured, _struck(seen, plan, measured, printed))
    boxes = _boxes(plan, registration.to_pixels)
    return [
        _reading(field, positions, judged, box)
        for field, positions, box in zip(plan.fields, _positions(plan), boxes, strict=True)
    ]


# --- what the bubbles looked like when blank ------------------------------------------------------------


def _printed(plan: Layout, patches: Patches) -> np.ndarray:
    """Darkness of each patch as printed, from the sheet itself (n x rows x columns).

    For each look the mean of the palest third of its bubbles. A look that is seen too seldom, or whose
    palest third is far darker than expected (it may be all marked), is taken as evenly gray instead, at the
    known baseline or that of the sheet's palest bubbles.
    """
    means = _mean(patches.darkness, patches.inner)
    floor = float(np.sort(means)[len(means) // 5])
    printed = np.empty_like(patches.darkness)
    for members, baseline in zip(plan.kinds, _baselines(plan), strict=True):
        palest = members[np.argsort(means[members], kind="stable")[: min(-(-len(members) // 3), _ENOUGH)]]
        expected, slack = (floor, 0.10) if isnan(baseline) else (baseline, 0.06)
        if len(palest) >= 2 and float(means[palest].sum()) <= (expected + slack) * len(palest):
            pattern = patches.darkness[palest].sum(axis=0) / np.float32(len(palest))
            printed[members] = cv2.dilate(pattern, _NEIGHBOURS)
        else:
            printed[members] = min(expected, 0.3)
    return printed


@by_identity
def _baselines(plan: Layout) -> list[float]:
    """Of each look the mean darkness on the blank form, NaN where that was not measured."""
    return [float(plan.baseline[members].mean()) for members in plan.kinds]


def _reference(picture: np.ndarray, page_form: PageForm, plan: Layout, patches: Patches) -> np.ndarray:
    """Darkness of each patch on the blank form (n x rows x columns)."""
    height, width = picture.shape
    scale = np.diag([width / page_form.width, height / page_form.height, 1.0])
    blank = sample(whole(picture, scale), plan, patches.darkness.shape[1:]).darkness
    return np.stack([cv2.dilate(patch, _NEIGHBOURS) for patch in blank])


# --- measures -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Measured:
    """Per bubble: see the module. depth: darkness of its darkest ink. unclear: the bubble cannot be seen.
    solid: darkness as reported, 0 as printed to 1 black. ample: print leaves room inside for cover and depth to
    be trusted. Of the sheet: ink: depth of its marks. level: darkness from which a sample is under such ink."""

    cover: np.ndarray
    tone: np.ndarray
    depth: np.ndarray
    unclear: np.ndarray
    solid: np.ndarray
    ample: np.ndarray
    ink: float
    level: float


def _measure(plan: Layout, patches: Patches, printed: np.ndarray) -> _Measured:
    added = patches.darkness - printed
    inner = patches.inner
    tone = _mean(added, inner)
    palest = tone <= median(tone)
    base, spread = _centre(tone[palest])
    depth = np.zeros_like(tone)
    inked = np.flatnonzero(tone > base + 0.02)  # the darkest ink matters only where there is some
    depth[inked] = _top(added[inked, ::2, ::2], inner[inked, ::2, ::2])  # every other sample will do
    candidates = tone > base + max(0.04, 6 * spread)
    ink = median(depth[candidates]) if candidates.any() else 0.5
    blanks = np.flatnonzero(palest)[:40]
    paper = (inner[blanks] > 0) & (printed[blanks] < (_PRINT if plan.measured else np.inf))
    noise = float(np.clip(added[blanks], -0.2, 0.2)[paper].std()) if paper.any() else 0.0
    level = max(0.08, 3 * noise, 0.4 * max(ink, 0.2))
    free = inner * (printed < 0.5)  # ink on top of print cannot be told from print
    cover = _mean((added > level).astype(np.float32), free)
    solid = np.clip(tone / np.maximum(1 - _mean(printed, inner), 0.2), 0, 1)
    unclear = patches.outside | (patches.light < _UNLIT)
    ample = free.reshape(len(free), -1).sum(axis=1) >= _AMPLE * np.maximum(inner.reshape(len(inner), -1).sum(axis=1), 1)
    means = _mean(patches.darkness, inner)
    tone = local_tone(plan, means, _lookalike(plan, means))
    return _Measured(cover, tone, depth, unclear, solid, ample, ink, level)


def _lookalike(plan: Layout, means: np.ndarray) -> np.ndarray:
    """Mean darkness that each bubble would have if it were blank (n): that of the paler bubbles of its look."""
    floor = float(np.sort(means)[len(means) // 5])
    blank = np.empty_like(means)
    for members, baseline in zip(plan.kinds, _baselines(plan), strict=True):
        expected, slack = (floor, _HEAVY) if isnan(baseline) else (baseline, 0.06)
        typical = float(np.sort(means[members])[(len(members) * 3) // 10])
        blank[members] = typical if typical <= expected + slack else min(expected, 0.3)
    return blank


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean of each patch (n); both n x rows x columns float32."""
    count = len(values)
    flat, shares = values.reshape(count, -1), weights.reshape(count, -1)
    return np.einsum("ns,ns->n", flat, shares) / np.maximum(shares.sum(axis=1), 1)


def _top(added: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The darkness that an eighth of the samples inside exceed (n)."""
    if not len(added):
        return np.zeros(0, np.float32)
    flat = np.where(inner > 0, added, -1).reshape(len(added), -1)
    rank = flat.shape[1] - 1 - int(inner.sum()) // (8 * len(added))
    return np.partition(flat, rank, axis=1)[:, rank]


def _centre(values: np.ndarray) -> tuple[float, float]:
    """Median and robust standard deviation."""
    middle = median(values)
    return middle, 1.4826 * median(np.abs(values - middle))


def _struck(seen: View, plan: Layout, measured: _Measured, printed: np.ndarray) -> np.ndarray:
    """Filled bubbles that are crossed out (n bool): strokes run out at three of their corners or all four.

    A careless fill goes over the outline at one corner or two, seldom at three: then a person looks in vain,
    which costs less than an answer that was withdrawn. In a candidate number, where a digit that was withdrawn
    leaves another in its column, it takes all four.
    """
    struck = np.zeros(len(printed), bool)
    filled = np.flatnonzero(measured.cover > _FILLED)
    if len(filled):
        darkness = details(seen, plan, filled)
        rows, columns = darkness.shape[1:]
        nearest = np.ix_(filled, _nearest(rows, printed.shape[1]), _nearest(columns, printed.shape[2]))
        dark = (darkness - printed[nearest] > measured.level).astype(np.float32)
        ends = np.einsum("nrc,nkrc->nk", dark, _corners(plan, rows, columns)[filled])
        ends.sort(axis=1)
        struck[filled] = (ends[:, 1] > _STROKE_END) & ((ends[:, 0] > 0) | ~_of_number(plan)[filled])
    return struck


def _nearest(count: int, of: int) -> np.ndarray:
    """For each of `count` samples along a side the nearest of `of` others along it."""
    return (2 * np.arange(count) + 1) * of // (2 * count)


@by_identity
def _of_number(plan: Layout) -> np.ndarray:
    """Which bubbles are of a candidate number (n bool)."""
    return np.repeat([field.role == "candidate" for field in plan.fields], np.diff((0, *plan.ends)))


@by_identity
def _corners(plan: Layout, rows: int, columns: int) -> np.ndarray:
    """Weights by which the samples above and below the four corners of a bubble's box make a mean of each corner
    (n x 4 x rows x columns float32)."""
    across = ((np.arange(columns) + 0.5) / columns - 0.5) * plan.reach[:, 0, None]
    down = ((np.arange(rows) + 0.5) / rows - 0.5) * plan.reach[:, 1, None]
    beside = (np.abs(across) > 0.40) & (np.abs(across) < 0.62)  # of the box's size, from its middle
    above = (np.abs(down) > 0.50) & (np.abs(down) < 0.70)
    corners = [
        (above & (down * y > 0))[:, :, None] & (beside & (across * x > 0))[:, None, :] for y in (-1, 1) for x in (-1, 1)
    ]
    weights = np.stack(corners, axis=1).astype(np.float32)
    return weights / np.maximum(weights.sum(axis=(2, 3), keepdims=True), 1)


# --- verdicts -------------------------------------------------------------------------------------------


def _limits(plan: Layout, measured: _Measured) -> _Limits:
    """Limits of this sheet: never below the fixed ones, wider where blank bubbles scatter."""
    palest = measured.tone <= median(measured.tone)
    base, spread = _centre(measured.cover[palest])
    base = min(base, 0.25)  # print inside a bubble covers no more; else most bubbles are marked
    low, high, fills = _styles(plan)
    return _Limits(
        base + np.maximum(low, 5 * spread), base + np.maximum(high, 8 * spread), tone_limits(measured.tone), fills
    )


@by_identity
def _styles(plan: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each bubble the least limits of cover, and whether only fills count."""
    styles = np.repeat([field.style for field in plan.fields], np.diff((0, *plan.ends)))
    low, high = (np.array([_COVER[style][end] for style in styles]) for end in (0, 1))
    return low, high, styles == "fill"


def _verdicts(measured: _Measured, limits: _Limits) -> tuple[np.ndarray, np.ndarray]:
    """Which bubbles are marked and which blank for certain (n bool each); the rest are neither."""
    ample, unclear = measured.ample, measured.unclear
    deep = ~ample | (measured.depth >= max(_FAINTEST, _SHALLOW * measured.ink))
    wide = ~limits.fills | ~ample | (measured.cover >= limits.marked)  # where only fills count, strokes do not
    dark = (measured.tone >= limits.tone.marked) & deep & wide
    covered = ample & (measured.cover >= limits.marked) & (measured.depth >= _FAINTEST)
    thin = covered & ~limits.fills & (measured.tone >= (limits.tone.blank + limits.tone.marked) / 2)
    marked = (dark | thin) & ~unclear
    spotted = ample & (measured.cover >= limits.blank) & (measured.tone >= limits.tone.blank / 2)
    blank = (measured.tone < limits.tone.marked) & ~spotted & ~unclear
    return marked, blank & ~marked


def _confidences(measured: _Measured, limits: _Limits) -> list[float]:
    """How far each bubble is from the limits: 0.5 between them, 1 far away, 0 unseen."""
    ratio = np.maximum(measured.tone, 0) / ((limits.tone.blank + limits.tone.marked) / 2)
    sure = np.where(ratio < 1, 1 - 0.5 * ratio**2, 1 - 0.5 / np.maximum(ratio, 1) ** 2)
    return np.where(measured.unclear, 0, sure).astype(np.float64).round(4).tolist()


# --- readings -------------------------------------------------------------------------------------------


class _Judged(NamedTuple):
    """The verdicts on all bubbles, a list each. residue: it is blank but not clean. bubbles: as reported. odd: the
    indices of those that have something to them: the rest, nearly all, are marked or blank and nothing else."""

    marked: list[bool | None]
    residue: list[bool]
    struck: list[bool]
    outside: list[bool]
    confidence: list[float]
    bubbles: list[Bubble]
    odd: frozenset[int]


def _judge(plan: Layout, patches: Patches, measured: _Measured, struck: np.ndarray) -> _Judged:
    limits = _limits(plan, measured)
    marked, blank = _verdicts(measured, limits)
    residue = blank & (measured.tone > limits.tone.blank)
    odd = ~(marked | blank) | residue | struck | patches.outside
    states = [True if m else False if b else None for m, b in zip(marked.tolist(), blank.tolist(), strict=True)]
    darkness = measured.solid.astype(np.float64).round(4).tolist()
    return _Judged(
        states,
        residue.tolist(),
        struck.tolist(),
        patches.outside.tolist(),
        _confidences(measured, limits),
        list(map(Bubble, *_names(plan), darkness, states)),
        frozenset(np.flatnonzero(odd).tolist()),
    )


def _reading(field: MarksField, positions: list[list[int]], judged: _Judged, box: Box) -> Reading:
    """The field's value and flags from its bubbles. positions: the indices of the bubbles at each position."""
    marked, bubbles = judged.marked, judged.bubbles
    flags: list[str] = []
    parts: list[str] = []
    reported: list[Bubble] = []
    for here in positions:
        chosen = [n for n in here if marked[n]]
        parts.append("".join([bubbles[n].label for n in chosen]))
        if len(chosen) > 1 and not field.multiple:
            flags.append("multiple_marks")
        if judged.odd.isdisjoint(here):
            reported += [bubbles[n] for n in here]
            continue
        doubtful = _doubtful(here, chosen, judged)
        flags += _position_flags(here, chosen, doubtful, judged)
        reported += [bubbles[n]._replace(marked=None) if n in doubtful else bubbles[n] for n in here]
    value = "".join(parts)
    if value and "" in parts:
        value = "".join(part or GAP for part in parts)
        if field.role == "candidate" or GAP in value.rstrip(GAP):  # a short word or number ends early
            flags.append("mark_doubtful")
        if field.role == "other":
            value = value.rstrip(GAP)
    confidence = min([judged.confidence[n] for here in positions for n in here])
    return Reading(field.id, "marks", value, confidence, check(tuple(flags)), box, tuple(reported))


@by_identity
def _names(plan: Layout) -> tuple[list[int], list[str]]:
    """Positions and labels of the bubbles."""
    return [bubble.position for bubble in plan.bubbles], [bubble.label for bubble in plan.bubbles]


@by_identity
def _positions(plan: Layout) -> list[list[list[int]]]:
    """For every field and every position in it, from the first: the indices of its bubbles."""
    found = []
    for start, end in zip((0, *plan.ends), plan.ends, strict=False):
        here: dict[int, list[int]] = {}
        for number in range(start, end):
            here.setdefault(plan.bubbles[number].position, []).append(number)
        found.append([here[position] for position in sorted(here)])
    return found


def _doubtful(here: list[int], chosen: list[int], judged: _Judged) -> list[int]:
    """Bubbles of one position that are neither marked nor blank for certain. A residue where nothing is marked
    is one of them: a faint mark or an erased one, nobody can tell."""
    return [n for n in here if judged.marked[n] is None or (judged.residue[n] and not chosen)]


def _position_flags(here: list[int], chosen: list[int], doubtful: list[int], judged: _Judged) -> list[str]:
    flags = ["mark_doubtful"] if doubtful else []
    if chosen and any(judged.residue[n] for n in here):
        flags.append("erased")
    if any(judged.outside[n] for n in here):
        flags.append("field_outside")
    if any(judged.struck[n] for n in chosen):
        flags.append("cancelled")
    return flags


def _boxes(plan: Layout, to_pixels: np.ndarray) -> list[Box]:
    """Upright bounding box of each field in pixels."""
    at = cv2.perspectiveTransform(_field_corners(plan), to_pixels)[0].reshape(-1, 4, 2)
    least, most = at.min(axis=1), at.max(axis=1)
    return [(x, y, w, h) for x, y, w, h in np.c_[least, most - least].tolist()]


@by_identity
def _field_corners(plan: Layout) -> np.ndarray:
    """Corners of the box around each field's bubbles in form units (1 x 4 fields x 2)."""
    starts = [0, *plan.ends[:-1]]
    low = np.minimum.reduceat(plan.centres - plan.sizes / 2, starts)
    high = np.maximum.reduceat(plan.centres + plan.sizes / 2, starts)
    return np.c_[low, high[:, 0], low[:, 1], high, low[:, 0], high[:, 1]].reshape(1, -1, 2)
