"""Charts as inline SVG. They hold numbers and item names only; words stand in the page around them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from grader.report.statistics import Bin, ItemStatistics, OptionCount

_AXIS, _GRID, _BAR, _SOFT, _KEY, _ALERT = "#8b909c", "#e4e2dc", "#3f7d80", "#c5d6d5", "#14494d", "#b3372f"


def histogram(bins: Sequence[Bin], mean: float | None) -> Markup:
    """Totals: a bar a bin, the mean as a line."""
    width, height, left, top, bottom = 960, 260, 34, 18, 26
    tallest = max(1, *(b.count for b in bins))
    low, high = bins[0].low, bins[-1].high
    inner_w, inner_h = width - left - 8, height - top - bottom

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * inner_w

    def y(count: float) -> float:
        return top + inner_h * (1 - count / tallest)

    parts = [_grid_line(left, width - 8, y(level), f"{level}") for level in _whole_ticks(tallest)]
    for b in bins:
        bar = x(b.high) - x(b.low)
        parts.append(
            f'<rect x="{x(b.low) + 1:.1f}" y="{y(b.count):.1f}" width="{max(1, bar - 2):.1f}" '
            f'height="{y(0) - y(b.count):.1f}" fill="{_BAR}"><title>{b.low:g}–{b.high:g}: {b.count}</title></rect>'
        )
    every = max(1, round(len(bins) / 10))
    parts += [_text(x(edge), height - 8, f"{edge:g}") for edge in [*(b.low for b in bins[::every]), high]]
    if mean is not None:
        at = x(mean)
        parts.append(f'<path d="M{at:.1f} {top - 6}V{y(0):.1f}" stroke="{_ALERT}" stroke-dasharray="4 3"/>')
        parts.append(_text(at + 5, top - 6, f"{mean:.1f}", "start", _ALERT))
    return _svg(width, height, parts)


def item_map(items: Sequence[ItemStatistics]) -> Markup:
    """Facility across (0 to 1), discrimination upwards; below 0.2 is shaded. Items at one place share a dot."""
    width, height, left, top, bottom = 960, 340, 40, 12, 28
    inner_w, inner_h = width - left - 14, height - top - bottom
    dots: dict[tuple[float, float], list[str]] = {}
    for item in items:
        if item.facility is not None and item.discrimination is not None:
            place = (round(item.facility, 2), round(item.discrimination, 2))
            dots.setdefault(place, []).append(item.item)
    low = min(-0.2, *(0.2 * math.floor(value / 0.2) for _, value in dots))

    def x(facility: float) -> float:
        return left + facility * inner_w

    def y(value: float) -> float:
        return top + inner_h * (1 - (value - low) / (1 - low))

    levels = [round(1 - 0.2 * step, 1) for step in range(round((1 - low) / 0.2) + 1)]
    parts = [
        f'<rect x="{left}" y="{y(0.2):.1f}" width="{inner_w}" height="{y(low) - y(0.2):.1f}" fill="#f6ecea"/>',
        *(_grid_line(left, width - 14, y(level), f"{level:g}".replace("-", "−")) for level in levels),
        *(_text(x(level), height - 9, f"{level:g}") for level in (0, 0.2, 0.4, 0.6, 0.8, 1)),
    ]
    for (facility, discrimination), names in dots.items():
        colour = _ALERT if discrimination < 0.2 else _BAR
        at_x, at_y = x(facility), y(discrimination)
        label = str(escape(", ".join(names)))
        parts.append(f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="4.5" fill="{colour}" fill-opacity=".8"/>')
        anchor, shift = ("end", -8) if facility > 0.93 else ("start", 8)
        parts.append(_text(at_x + shift, at_y + 4, label, anchor, "#4a5060"))
    return _svg(width, height, parts)


def option_bars(options: Sequence[OptionCount]) -> Markup:
    """One bar an option, the key dark; the last bar is no answer."""
    step, tall, top = 32, 62, 16
    parts = []
    for number, option in enumerate(options):
        height = max(1.0, option.share * tall)
        centre = step * number + step / 2
        colour = _KEY if option.key else _SOFT
        parts.append(
            f'<rect x="{centre - 10}" y="{top + tall - height:.1f}" width="20" height="{height:.1f}" fill="{colour}">'
            f"<title>{escape(option.label) or '–'}: {option.count}</title></rect>"
        )
        parts.append(_text(centre, top + tall - height - 4, f"{option.share:.0%}"))
        parts.append(_text(centre, top + tall + 14, str(escape(option.label)) or "–", colour="#1d2433"))
    return _svg(step * len(options), top + tall + 20, parts, natural=True)


def _whole_ticks(tallest: int) -> list[int]:
    step = max(1, -(-tallest // 4))
    return list(range(0, tallest + 1, step))


def _grid_line(left: float, right: float, y: float, label: str) -> str:
    line = f'<path d="M{left} {y:.1f}H{right}" stroke="{_GRID}"/>'
    return line + _text(left - 6, y + 4, label, "end")


def _text(x: float, y: float, text: str, anchor: str = "middle", colour: str = _AXIS) -> str:
    """text: already escaped."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def _svg(width: float, height: float, parts: Sequence[str], natural: bool = False) -> Markup:
    size = f' width="{width}" height="{height}"' if natural else ""
    body = "".join(parts)
    return Markup(f'<svg viewBox="0 0 {width} {height}"{size} role="img">{body}</svg>')
