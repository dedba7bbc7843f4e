"""Small charts as SVG without styles of their own: colours are classes of centre.css, sizes are attributes."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

_WIDTH, _HEIGHT = 120, 16


def leaning(value: float | None, most: float = 0.25) -> Markup:
    """A difference around zero, from -most to most: a bar from the middle. Empty where there is none."""
    if value is None:
        return Markup("")
    middle, reach = _WIDTH / 2, _WIDTH / 2 - 2
    end = middle + max(-1.0, min(1.0, value / most)) * reach
    left, width = min(middle, end), abs(end - middle)
    kind = "far" if abs(value) > most / 2 else "near"
    return _svg(
        f'<line x1="{middle}" y1="0" x2="{middle}" y2="{_HEIGHT}"/>'
        f'<rect class="{kind}" x="{left:.1f}" y="4" width="{max(width, 1):.1f}" height="8"/>'
    )


def share(value: float | None, limit: float | None = None) -> Markup:
    """A share from 0 to 1 as a bar, with the limit as a line where there is one."""
    if value is None:
        return Markup("")
    low = limit is not None and value < limit
    bar = f'<rect class="ground" x="0" y="4" width="{_WIDTH}" height="8"/>'
    bar += f'<rect class="{"far" if low else "near"}" x="0" y="4" width="{value * _WIDTH:.1f}" height="8"/>'
    if limit is not None:
        bar += f'<line x1="{limit * _WIDTH:.1f}" y1="1" x2="{limit * _WIDTH:.1f}" y2="{_HEIGHT - 1}"/>'
    return _svg(bar)


def spread(counts: Sequence[int]) -> Markup:
    """How often each mark was given, from none to full, as columns."""
    if not sum(counts):
        return Markup("")
    wide, most = _WIDTH / len(counts), max(counts)
    columns = "".join(
        f'<rect class="near" x="{n * wide + 0.5:.1f}" y="{24 - 22 * count / most:.1f}" '
        f'width="{max(wide - 1, 0.5):.1f}" height="{22 * count / most:.1f}"/>'
        for n, count in enumerate(counts)
    )
    return _svg(columns + f'<line x1="0" y1="24" x2="{_WIDTH}" y2="24"/>', 25)


def _svg(inside: str, height: int = _HEIGHT) -> Markup:
    # Only numbers and our own class names are within: nothing that anybody typed.
    head = f'<svg class="spark" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" aria-hidden="true">'
    return Markup(f"{head}{inside}</svg>")
