"""A bar chart as SVG, drawn by hand: one picture of a few bars is not worth a plotting library."""

from __future__ import annotations

from typing import NamedTuple
from xml.sax.saxutils import escape

_WIDTH, _NAMES, _BAR, _GAP, _TITLE = 760, 250, 18, 8, 34
_END = 70  # for the number beside the longest bar
# Colours that are told apart on white and on black; the text takes that of the page's own scheme.
_STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 } .ours { fill: #0969da } .theirs { fill: #8c959f } .part { fill: #00000038 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }
</style>"""


class Bar(NamedTuple):
    """One bar: seconds in all, and until the events were there where that is known."""

    name: str
    seconds: float
    events_s: float | None
    is_ours: bool


def chart(parts: dict[str, list[Bar]]) -> str:
    """Draw the bars of each part below its title, each part to a scale of its own."""
    drawn: list[str] = []
    y = 0
    for title, bars in parts.items():
        drawn.append(f'<text class="title" x="0" y="{y + 20}">{escape(title)}, seconds (darker: until `events`)</text>')
        y += _TITLE
        per_s = (_WIDTH - _NAMES - _END) / max(bar.seconds for bar in bars)
        for bar in sorted(bars, key=lambda bar: bar.seconds):
            drawn += _draw(bar, y, per_s)
            y += _BAR + _GAP
        y += _GAP
    said = ", ".join(parts)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" role="img" aria-label="{escape(said)}">'
    return "\n".join([head, _STYLE, *drawn, "</svg>", ""])


def _draw(bar: Bar, y: int, per_s: float) -> list[str]:
    length = bar.seconds * per_s
    middle = y + _BAR - 4
    kind = "ours" if bar.is_ours else "theirs"
    drawn = [
        f'<text x="{_NAMES - 10}" y="{middle}" text-anchor="end">{escape(bar.name)}</text>',
        f'<rect class="{kind}" x="{_NAMES}" y="{y}" width="{length:.1f}" height="{_BAR}"/>',
    ]
    if bar.events_s is not None:
        events = bar.events_s * per_s
        drawn.append(f'<rect class="part" x="{_NAMES}" y="{y}" width="{events:.1f}" height="{_BAR}"/>')
    drawn.append(f'<text x="{_NAMES + length + 6:.1f}" y="{middle}">{bar.seconds:,.0f}</text>')
    return drawn
