"""Whether a form's own print is seen where a pose puts it, and the pose that fits that print best.

Corner marks, outlines and pictures of foreign papers say where a page lies, but seldom which way up, and the
geometry of such forms is measured by hand. The printed bubbles settle both: bubbles with the same label look
alike, so that their median picture is sharp where the pose is right, and flat where it is not.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from grader.exam.form import Form, PageForm
from grader.reading.kept import by_identity
from grader.reading.letters import legibility
from grader.reading.patches import Layout, layout, sample, whole
from grader.records import Page

Pose = tuple[np.ndarray, float]  # 3x3 from form units to pixels; residual in form units

_CLIP = 0.35  # darkness counts up to here: print, not the marks on it
_TOLD_APART = 1.3  # the right pose is sharper than others by this factor
_FITTED = 6  # poses that are looked at closely
_FAINTEST_PRINT = 0.012  # sharpness below which no print is seen at all
_ALIKE = 0.5  # correlation from which a bubble's place is believed
_WIDEN = 2.2  # bubbles are looked for within this many times their box
_ENOUGH = 300  # bubbles that are looked at
_ACROSS = 44  # samples along such a patch
_ROUNDS = 3
_SEEN = 0.3  # share of the bubbles that must be clearly seen
_REGIONS = 4  # parts along each side of the page that must fit, each by itself
_FARTHEST = 1.5  # of a bubble's size: a fit that moves one farther runs away
_LEGIBLE = 0.05  # letters the right way up look more like themselves by this much correlation


def settle(page: Page, page_form: PageForm, form: Form, poses: list[Pose]) -> list[Pose]:
    """Of the poses that a method found, the one that shows the form's print, as [(matrix, residual)], or [].

    Poses that differ and show the print equally well are no answer ([]). With form.align_bubbles the pose is
    fitted once more to the bubbles, and the residual is how far these are from where the form has them.
    """
    whole = layout(page_form)
    plan = _sparse(whole) if whole is not None else None
    poses = [pose for pose in poses if np.isfinite(pose[0]).all() and _inside(page, page_form, pose[0])]
    if not form.rotations:
        poses = [pose for pose in poses if _turn(page_form, pose[0]) == 0]
    if plan is None or len(plan.bubbles) < 6:
        return sorted(poses, key=lambda pose: pose[1])[:1]
    scored = sorted(((_sharpness(page.gray, pose[0], plan), number) for number, pose in enumerate(poses)), reverse=True)
    if not scored or scored[0][0] < _FAINTEST_PRINT:
        return []
    likely = [poses[number] for score, number in scored if score * _TOLD_APART >= scored[0][0]][:_FITTED]
    if form.align_bubbles:
        likely = [_fit(page.gray, pose, plan) for pose in likely]
        likely = [pose for pose in likely if pose[1] <= form.max_residual] or [min(likely, key=lambda pose: pose[1])]
    return _one(page, page_form, plan, _distinct(page_form, likely))


def fit_to_bubbles(page: Page, page_form: PageForm, pose: Pose) -> Pose:
    """The pose fitted to the page's bubbles, and how far these are from where it puts them; infinitely far where
    too few are seen to vouch for it."""
    plan = layout(page_form)
    if plan is None or len(plan.bubbles) < 6:
        return pose[0], float("inf")
    return _fit(page.gray, pose, plan)


def _distinct(page_form: PageForm, poses: list[Pose]) -> list[Pose]:
    """Poses that put the page at different places, each at its best residual."""
    kept: list[tuple[np.ndarray, Pose]] = []
    for pose in sorted(poses, key=lambda pose: pose[1]):
        corners = _at(pose[0], _corners(page_form))
        near = 0.02 * float(np.linalg.norm(corners[2] - corners[0]))
        if not any(np.abs(corners - others).max() < near for others, _ in kept):
            kept.append((corners, pose))
    return [pose for _, pose in kept]


def _one(page: Page, page_form: PageForm, plan: Layout, poses: list[Pose]) -> list[Pose]:
    """The one pose that is left when those that lie another way up are told apart by the bubbles' letters, and
    others by a residual that is less than half; [] where that leaves doubt."""
    turn = _turn(page_form, poses[0][0])
    same = [pose for pose in poses if _turn(page_form, pose[0]) == turn]
    if len(same) < len(poses):
        legible = [legibility(page.gray, pose[0], plan) for pose in poses]
        best = int(np.argmax(legible))
        turn = _turn(page_form, poses[best][0])
        same = [pose for pose in poses if _turn(page_form, pose[0]) == turn]
        other = max(value for value, pose in zip(legible, poses, strict=True) if _turn(page_form, pose[0]) != turn)
        if legible[best] < other + _LEGIBLE:
            return []
    if len(same) > 1 and same[0][1] > 0.5 * same[1][1]:
        return []
    return same[:1]


def _inside(page: Page, page_form: PageForm, matrix: np.ndarray) -> bool:
    """True if the pose keeps the page's fields mostly in the picture and unmirrored."""
    corners = _at(matrix, _corners(page_form))
    height, width = page.gray.shape
    slack = 0.75 * max(height, width)
    inside = (corners > -slack).all() and (corners < (width + slack, height + slack)).all()
    return bool(inside) and cv2.contourArea(corners.astype(np.float32), oriented=True) > 0.01 * width * height


def _corners(page_form: PageForm) -> np.ndarray:
    w, h = page_form.width, page_form.height
    return np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float64)


def _turn(page_form: PageForm, matrix: np.ndarray) -> int:
    """Quarter turns (0 to 3) by which the page is turned in the picture."""
    corners = _at(matrix, _corners(page_form))
    right = corners[1] + corners[2] - corners[0] - corners[3]
    return int(np.round(np.arctan2(right[1], right[0]) / (np.pi / 2))) % 4


def _at(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return cv2.perspectiveTransform(points.reshape(1, -1, 2).astype(np.float64), matrix)[0]


# --- sharpness ------------------------------------------------------------------------------------------


@by_identity
def _sparse(plan: Layout) -> Layout:
    """The layout with some hundred bubbles, every so many of each look: enough to say where a page lies."""
    step = -(-len(plan.bubbles) // _ENOUGH)
    if step == 1:
        return plan
    kinds = [members[:: max(1, min(step, len(members) // 5))] for members in plan.kinds]
    chosen = np.concatenate(kinds)
    ends = np.cumsum([len(members) for members in kinds])
    return replace(
        plan,
        bubbles=tuple(plan.bubbles[number] for number in chosen),
        centres=plan.centres[chosen],
        sizes=plan.sizes[chosen],
        reach=plan.reach[chosen],
        ellipse=plan.ellipse[chosen],
        baseline=plan.baseline[chosen],
        kinds=tuple(np.arange(end - len(members), end) for members, end in zip(kinds, ends, strict=True)),
    )


@by_identity
def _groups(plan: Layout) -> list[np.ndarray]:
    """Bubbles that look alike, in groups of four and more; else all of one size."""
    groups = [members for members in plan.kinds if len(members) >= 4]
    if sum(map(len, groups)) >= 0.5 * len(plan.bubbles):
        return groups
    sizes = np.unique(plan.sizes.round(1), axis=0)
    alike = [np.flatnonzero((plan.sizes.round(1) == size).all(axis=1)) for size in sizes]
    return [members for members in alike if len(members) >= 3] or [np.arange(len(plan.bubbles))]


def _sharpness(gray: np.ndarray, matrix: np.ndarray, plan: Layout) -> float:
    """Contrast of the median pictures of bubbles that look alike, weighted by their number."""
    patches = sample(whole(gray, matrix), _widened(plan))
    darkness = np.clip(patches.darkness, 0, _CLIP)
    darkness[patches.outside] = 0
    total = count = 0.0
    for members in _groups(plan):
        total += len(members) * float(np.median(darkness[members], axis=0).std())
        count += len(members)
    return total / count


# --- fitting to the bubbles -----------------------------------------------------------------------------


def _fit(gray: np.ndarray, pose: Pose, plan: Layout) -> Pose:
    """The pose fitted to the bubbles, with the root mean square distance of those that are clearly seen.

    Where too few are seen, the pose as it was, with an infinite residual: nothing vouches for it. A step that
    brings the bubbles no nearer to their places is not taken.
    """
    matrix = pose[0]
    offsets, seen = _offsets(gray, matrix, plan)
    residual = _trimmed(offsets[seen])
    for _ in range(_ROUNDS):
        if seen.sum() < max(6, _SEEN * len(seen)):
            return pose[0], np.inf
        step = _smooth(plan.centres[seen], plan.centres[seen] + offsets[seen], plan)
        if step is None or (np.abs(_at(step, plan.centres) - plan.centres) / plan.sizes).max() > _FARTHEST:
            break
        next_offsets, next_seen = _offsets(gray, matrix @ step, plan)
        better = _trimmed(next_offsets[next_seen])
        if better >= residual or next_seen.sum() < 0.9 * seen.sum():
            break
        matrix, offsets, seen, residual = matrix @ step, next_offsets, next_seen, better
    return matrix / matrix[2, 2], max(residual, _worst_region(plan, offsets, seen))


def _worst_region(plan: Layout, offsets: np.ndarray, seen: np.ndarray) -> float:
    """The largest median distance of the bubbles in any part of the page: a page may fit well but for a corner."""
    low, high = plan.centres.min(axis=0), plan.centres.max(axis=0)
    cells = np.minimum((plan.centres - low) / np.maximum(high - low, 1e-9) * _REGIONS, _REGIONS - 1).astype(int)
    region = cells[:, 0] * _REGIONS + cells[:, 1]
    worst = 0.0
    for number in np.unique(region):
        here = region == number
        if here.sum() >= 8:
            if (here & seen).sum() < max(2, _SEEN / 2 * here.sum()):
                return np.inf
            worst = max(worst, float(np.median(np.linalg.norm(offsets[here & seen], axis=1))))
    return worst


def _trimmed(offsets: np.ndarray) -> float:
    """Root mean square length of the shortest nine tenths: marked bubbles may seem to be anywhere."""
    if not len(offsets):
        return float(np.inf)
    lengths = np.sort(np.linalg.norm(offsets, axis=1))
    return float(np.sqrt(np.mean(lengths[: max(1, int(0.9 * len(lengths)))] ** 2)))


def _smooth(source: np.ndarray, target: np.ndarray, plan: Layout) -> np.ndarray | None:
    """A homography, or an affine map where the bubbles lie too close together to fix a homography."""
    limit = float(0.35 * plan.sizes.min())
    if len(source) >= 24:
        matrix, _ = cv2.findHomography(source, target, cv2.RANSAC, limit, maxIters=2000, confidence=0.999)
        return matrix
    affine, _ = cv2.estimateAffine2D(source, target, ransacReprojThreshold=limit)
    return None if affine is None else np.vstack([affine, (0, 0, 1)])


def _offsets(gray: np.ndarray, matrix: np.ndarray, plan: Layout) -> tuple[np.ndarray, np.ndarray]:
    """How far each bubble is from its place (n x 2 in form units), and which were clearly seen (n)."""
    wide = _widened(plan)
    darkness = np.clip(sample(whole(gray, matrix), wide, (_ACROSS, _ACROSS)).darkness, 0, _CLIP).astype(np.float32)
    offsets, seen = np.zeros((len(plan.bubbles), 2)), np.zeros(len(plan.bubbles), bool)
    margin = 9
    for members in _groups(plan):
        typical = np.median(darkness[members], axis=0)
        shift = _centre_of_symmetry(typical)
        core = _shifted(typical, shift)[margin:-margin, margin:-margin]
        if core.std() < _FAINTEST_PRINT:
            continue
        for number in members:
            match = cv2.matchTemplate(darkness[number], core, cv2.TM_CCOEFF_NORMED)
            _, best, _, (x, y) = cv2.minMaxLoc(match)
            if best < _ALIKE or not (0 < x < match.shape[1] - 1 and 0 < y < match.shape[0] - 1):
                continue
            dx = x - margin + _peak(match[y, x - 1], best, match[y, x + 1])
            dy = y - margin + _peak(match[y - 1, x], best, match[y + 1, x])
            offsets[number] = np.array([dx, dy]) / _ACROSS * wide.reach[number] * plan.sizes[number]
            seen[number] = True
    return offsets, seen


@by_identity
def _widened(plan: Layout) -> Layout:
    """The layout with patches wide enough to find bubbles that are out of place."""
    return replace(plan, reach=np.full_like(plan.reach, _WIDEN))


def _peak(before: float, here: float, after: float) -> float:
    """Offset of a parabola's top through three neighbouring values."""
    bend = before - 2 * here + after
    return 0.0 if bend >= 0 else float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5))


def _centre_of_symmetry(picture: np.ndarray) -> tuple[float, float]:
    """Where a bubble's middle is, from the middle of the picture: outlines look the same turned by half."""
    side = picture.shape[0]
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.5)
    margin = side // 4
    turned = smooth[::-1, ::-1]
    match = cv2.matchTemplate(smooth, turned[margin:-margin, margin:-margin].copy(), cv2.TM_CCOEFF_NORMED)
    _, _, _, (x, y) = cv2.minMaxLoc(match)
    return (x - margin) / 2, (y - margin) / 2


def _shifted(picture: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    matrix = np.array([[1, 0, -shift[0]], [0, 1, -shift[1]]], np.float64)
    return cv2.warpAffine(picture, matrix, picture.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
