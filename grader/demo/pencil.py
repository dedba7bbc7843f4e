"""Marks in bubbles, as candidates make them: fills, ticks, crosses, overshoot, erasures, cancelled marks.

Everything is drawn on a gray page (uint8, 255 white) by multiplying: graphite darkens what is under it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from grader.exam.form import BubbleBox

MarkKind = Literal["fill", "pale", "overshoot", "dash", "tick", "cross", "faint", "erased", "cancelled", "dot"]

# Kinds that a careful person would hesitate over: a flag is the right answer to them.
DOUBTFUL: frozenset[str] = frozenset({"faint", "erased", "cancelled", "dot"})
# Kinds that are not meant as an answer.
WITHDRAWN: frozenset[str] = frozenset({"erased", "cancelled", "dot"})


@dataclass(frozen=True)
class Tool:
    """What a candidate marks with. darkness: 0 to 1 of a firm stroke. width: of the stroke in millimetres.
    grain: how much of the paper shows through, 0 for a pen."""

    darkness: float
    width: float
    grain: float

    @staticmethod
    def draw(rng: np.random.Generator, pencil: bool) -> Tool:
        """A pencil (2B, more or less blunt) or a pen."""
        if pencil:
            return Tool(rng.uniform(0.55, 0.85), rng.uniform(0.5, 0.9), rng.uniform(0.1, 0.3))
        return Tool(rng.uniform(0.78, 0.95), rng.uniform(0.45, 0.7), rng.uniform(0.0, 0.06))


def draw_mark(
    page: np.ndarray, scale: float, bubble: BubbleBox, kind: MarkKind, tool: Tool, rng: np.random.Generator
) -> None:
    """Draw a mark of `kind` over a bubble, in place. scale: pixels a millimetre."""
    pad = 0.9 * bubble.w
    left, top = (int((v - pad) * scale) for v in (bubble.x, bubble.y))
    width, height = (int((v + 2 * pad) * scale) for v in (bubble.w, bubble.h))
    centre = np.array([(bubble.x + bubble.w / 2) * scale - left, (bubble.y + bubble.h / 2) * scale - top])
    half = np.array([bubble.w / 2, bubble.h / 2]) * scale
    patch = _Patch(width, height, centre, half, scale, tool, rng)
    if kind in ("fill", "pale", "overshoot", "faint"):
        strength = {"pale": 0.62, "faint": rng.uniform(0.14, 0.3)}.get(kind, 1.0)
        patch.scribble(reach=rng.uniform(1.12, 1.3) if kind == "overshoot" else rng.uniform(0.86, 1.04))
        patch.strength = strength
    elif kind == "tick":
        patch.tick()
    elif kind == "cross":
        patch.cross(rng.uniform(0.75, 1.05))
    elif kind == "dash":
        patch.dash()
    elif kind == "dot":
        patch.dot()
    elif kind == "erased":
        patch.scribble(reach=0.95)
        patch.rub(rng.uniform(0.08, 0.2))
    elif kind == "cancelled":
        patch.scribble(reach=0.95)
        patch.cross(rng.uniform(1.3, 1.6))
    patch.press(page, left, top)


class _Patch:
    """Strokes around one bubble, before they are pressed on the page. Lengths in pixels."""

    def __init__(
        self, width: int, height: int, centre: np.ndarray, half: np.ndarray, scale: float, tool: Tool,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        self.ink: np.ndarray = np.zeros((height, width), np.uint8)
        self.centre, self.half, self.tool, self.rng = centre, half, tool, rng
        self.thickness = max(1, round(tool.width * scale))
        self.strength = 1.0

    def scribble(self, reach: float) -> None:
        """A zigzag that fills the bubble. reach: 1 to the outline, more beyond it."""
        angle = self.rng.uniform(-0.5, 0.5) + (np.pi / 2 if self.rng.random() < 0.3 else 0.0)
        along, across = (np.array([np.cos(a), np.sin(a)]) for a in (angle, angle + np.pi / 2))
        # the bubble's half size as seen along and across the strokes
        length, breadth = (float(np.abs(v) @ self.half) * reach for v in (along, across))
        inner = self.thickness * 0.5
        length, breadth = max(length - inner, inner), max(breadth - inner, inner / 2)
        step = self.thickness * self.rng.uniform(0.5, 0.78)
        count = max(3, int(np.ceil(2 * breadth / step)) + 1)
        offsets = np.linspace(-breadth, breadth, count)
        shift = self.rng.normal(0, 0.06, 2) * self.half
        # keep the strokes within the bubble's box: a turn at the outline, not beyond it
        points = []
        for i, offset in enumerate(offsets):
            end = length if i % 2 else -length
            point = along * (end + self.rng.normal(0, 0.05 * length)) + across * offset
            points.append(np.clip(point, -self.half * reach, self.half * reach) + shift + self.centre)
        self._stroke(np.array(points))

    def tick(self) -> None:
        """A tick: short down, long up, often past the outline."""
        w, h = self.half
        size = self.rng.uniform(0.8, 1.2)
        points = np.array([[-0.55 * w, 0.0], [-0.15 * w, 0.75 * h], [0.75 * w, -1.05 * h]]) * size
        self._stroke(points + self.rng.normal(0, 0.06, (3, 2)) * self.half + self.centre)

    def dash(self) -> None:
        """The one thick stroke from side to side that older instructions ask for, drawn back and forth."""
        w, h = self.half
        xs = np.array([-0.85, 0.85, -0.8, 0.8])[:, None] * w
        ys = np.linspace(-0.22, 0.22, 4)[:, None] * h
        points = np.hstack([xs, ys]) + self.rng.normal(0, 0.05, (4, 2)) * self.half
        self._stroke(points + self.centre)

    def cross(self, size: float) -> None:
        """Two strokes across the bubble. size: 1 to the outline."""
        w, h = self.half * size
        for sign in (1, -1):
            points = np.array([[-0.7 * w, -0.85 * h * sign], [0.7 * w, 0.85 * h * sign]])
            self._stroke(points + self.rng.normal(0, 0.06, (2, 2)) * self.half + self.centre)

    def dot(self) -> None:
        """A pencil put down and lifted again."""
        place = self.centre + self.rng.normal(0, 0.2, 2) * self.half
        cv2.circle(self.ink, _point(place), max(1, round(0.5 * self.thickness)), 255, -1, cv2.LINE_AA)

    def rub(self, left: float) -> None:
        """Erase: little graphite stays, smeared. left: the share that stays."""
        self.ink = cv2.GaussianBlur(self.ink, (0, 0), max(1.0, self.thickness * 0.5))
        self.strength = left

    def _stroke(self, points: np.ndarray) -> None:
        curve = np.round(_smooth(points) * 8).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(self.ink, [curve], False, 255, self.thickness, cv2.LINE_AA, shift=3)

    def press(self, page: np.ndarray, left: int, top: int) -> None:
        """Darken the page by the strokes."""
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = (min(a + b, c) for a, b, c in zip((left, top), self.ink.shape[::-1], page.shape[::-1], strict=True))
        ink = self.ink[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.float32) / 255
        paper = cv2.GaussianBlur(self.rng.standard_normal(ink.shape, dtype=np.float32), (0, 0), 1.2) * 2.0
        ink *= np.clip(1 - self.tool.grain * (0.5 + paper), 0, 1) * self.tool.darkness * self.strength
        region = page[y0:y1, x0:x1]
        region[:] = np.round(region * (1 - ink)).astype(np.uint8)


def _smooth(points: np.ndarray) -> np.ndarray:
    """A polyline with rounded corners (Chaikin's corner cutting, once)."""
    if len(points) < 3:
        return points
    cut = np.stack([0.8 * points[:-1] + 0.2 * points[1:], 0.2 * points[:-1] + 0.8 * points[1:]], axis=1)
    return np.concatenate([points[:1], cut.reshape(-1, 2), points[-1:]])


def _point(xy: np.ndarray) -> tuple[int, int]:
    return round(float(xy[0])), round(float(xy[1]))
