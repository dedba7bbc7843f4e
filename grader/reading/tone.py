"""How much darker a bubble is than blank ones that look alike: the measure that print inside bubbles cannot upset.

A bubble is compared with the paler bubbles of its look, and then with the paler ones beside it, so that
neither heavy letters nor tinted columns count. What is left scatters little for blank bubbles, and the sheet's
own marks say how dark a mark is on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grader.reading.kept import by_identity
from grader.reading.patches import Layout

_TINT = 0.10  # a tinted column adds at most this much darkness
_LEAST, _CLEAR = 0.045, 0.08  # never less darkness than this is a residue, a mark
_SHARES = (0.08, 0.30)  # of this sheet's typical mark: below the first blank, from the second on a mark
_SPREADS = (5.0, 8.0)  # of the blank bubbles' standard deviation
_FEW = 3  # marks that make a typical one


@dataclass(frozen=True)
class ToneLimits:
    """Up to `blank` a bubble is clean, from `marked` on it is dark enough for a mark; between is doubt."""

    blank: float
    marked: float


def local_tone(plan: Layout, means: np.ndarray, lookalike: np.ndarray) -> np.ndarray:
    """Darkness beyond that of blank bubbles (n). means: mean darkness inside each bubble; lookalike: what it
    would be on a blank one (n)."""
    tone = means - lookalike
    position, places, reference = _neighbours(plan)
    beside = np.zeros_like(tone)
    beside[places] = tone[np.lexsort((tone, position))[reference]]
    # where a blank form was measured, no tint is to be expected, and a residue beside another must not vouch for it
    return np.where(np.isfinite(plan.baseline), tone, tone - np.clip(beside, -_TINT, _TINT))


@by_identity
def _neighbours(plan: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The position of each bubble (n), the bubbles of positions with three and more, and for each of these the
    place of its reference when all are ordered by position and tone: paler than two thirds of its position."""
    groups: list[int] = []
    known: dict[tuple[int, int], int] = {}
    start = 0
    for number, end in enumerate(plan.ends):
        groups += [known.setdefault((number, b.position), len(known)) for b in plan.bubbles[start:end]]
        start = end
    position = np.array(groups)
    counts = np.bincount(position)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    places = np.flatnonzero(counts[position] >= 3)
    return position, places, (starts + (counts - 1) // 3)[position[places]]


def tone_limits(tone: np.ndarray) -> ToneLimits:
    """The limits of this sheet, from all its bubbles."""
    pale = tone[tone < 0.06]
    middle = median(pale) if len(pale) else 0.0
    spread = 1.4826 * median(np.abs(pale - middle)) if len(pale) else 0.0
    dark = tone[tone > max(_CLEAR, _SPREADS[1] * spread)]
    typical = median(dark) if len(dark) >= _FEW else 0.0
    low, high = (
        max(least, share * typical, spreads * spread)
        for least, share, spreads in zip((_LEAST, _CLEAR), _SHARES, _SPREADS, strict=True)
    )
    return ToneLimits(middle + low, middle + high)


def median(values: np.ndarray) -> float:
    """The median of some hundred values, for a tenth of what np.median costs on so few."""
    ordered = np.sort(values)
    middle = len(ordered) // 2
    return float(ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2)
