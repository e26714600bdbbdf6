"""Charts as SVG: columns over time, heat maps and bars, without script and without a size of their own.

Positions across are shares of the width and heights are pixels, so that a chart fills whatever it is in and its letters
keep their size, on a phone too. Colours are those of the page's style sheet, in the light and in the dark.
"""

from __future__ import annotations

from itertools import groupby, pairwise
from math import ceil, floor, log10
from typing import TYPE_CHECKING

from parsely_spark.report.elements import Element, h
from parsely_spark.report.wording import short_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parsely_spark.report.elements import Content

CLASSES = 6  # of a heat map
MOST_COLUMNS = 100  # that are told apart, and have a tip each
_LAST_LABEL = 82  # % of the width
_ABOVE, _BELOW = 8, 20  # px: for half the number of the highest line, and for what stands below the axis


def time_columns(
    values: Sequence[float],
    *,
    said: str,
    labels: Sequence[tuple[int, str]],
    tip: Callable[[int], str] | None = None,
    height: int = 150,
    most: float | None = None,
) -> Element:
    """A column for each step of time, or an area where there are many.

    Args:
        values: one for each step.
        said: what there is to see, for who does not see it.
        labels: of the axis: number of the step, text.
        tip: what is said of a step, if that is worth its bytes.
        height: px.
        most: the top of the axis where several charts share it.
    """
    top, lines = scale(max(values, default=0) if most is None else most)
    base = height - _BELOW
    deep = base - _ABOVE

    def y(value: float) -> float:
        return base - deep * value / top

    drawn: list[Element] = []
    for line in lines:
        at = f"{y(line):.1f}"
        drawn.append(h("line", {"class": "grid", "x1": "0", "x2": "100%", "y1": at, "y2": at}))
    drawn.append(_columns(values, y, height, tip) if len(values) <= MOST_COLUMNS else _area(values, y, height))
    drawn.append(h("line", {"class": "axis", "x1": "0", "x2": "100%", "y1": base, "y2": base}))
    drawn += _labels(labels, len(values), height - 5)
    marks = [(y(line) + 4, short_number(line)) for line in (0, *lines)]
    return _beside(marks, height, picture(said, height, *drawn))


def _beside(marks: Sequence[tuple[float, str]], height: float, chart: Element) -> Element:
    """A *chart* with what its rows or lines are on its left; the chart gives way where there is little room."""
    texts = [h("text", {"x": "100%", "y": f"{at:.1f}", "text-anchor": "end"}, text) for at, text in marks]
    side = h("svg", {"class": "side", "height": height, "aria-hidden": "true"}, texts)
    return h("div", {"class": "beside"}, side if marks else None, chart)


def scale(most: float) -> tuple[float, list[float]]:
    """The top of an axis on which *most* fits, and where its lines are; both are round numbers."""
    if most <= 0:
        return 1.0, []
    step = 10.0 ** floor(log10(most))
    for part in (0.5, 1, 2, 2.5, 5):
        if most <= 2 * step * part and (step * part >= 1 or most < 1):
            step *= part
            break
    count = max(1, ceil(most / step - 1e-9))
    return step * count, [step * number for number in range(1, count + 1)]


def heat_map(
    rows: Sequence[Sequence[float | None]],
    *,
    said: str,
    row_labels: Sequence[tuple[int, str]],
    labels: Sequence[tuple[int, str]],
    row_height: int = 11,
) -> Element:
    """A field for each row and column, darker where there is more; hollow where there is nothing, none for None."""
    most = max((value for row in rows for value in row if value), default=0)
    count = max((len(row) for row in rows), default=0)
    deep = row_height * len(rows)
    fields: dict[str, list[str]] = {}
    for y, row in enumerate(rows):
        x = 0
        for kind, same in groupby(row, lambda value: None if value is None else _class(value, most)):
            width = len(list(same))
            if kind is not None:
                fields.setdefault(kind, []).append(f"M{x} {y}h{width}v1h-{width}z")
            x += width
    paths = [h("path", {"class": name, "d": "".join(found)}) for name, found in sorted(fields.items())]
    gaps_x = [h("path", {"class": "between", "d": "".join(f"M{x} 0v{len(rows)}" for x in range(1, count))})]
    gaps_y = [h("path", {"class": "between", "d": "".join(f"M0 {y}h{count}" for y in range(1, len(rows)))})]
    between = [*(gaps_x if count <= MOST_COLUMNS else []), *gaps_y]
    box = {"viewBox": f"0 0 {max(1, count)} {max(1, len(rows))}", "preserveAspectRatio": "none"}
    cells = h("svg", {"width": "100%", "height": str(deep), **box}, paths, between)
    marks = [(row_height * number + row_height - 2, text) for number, text in row_labels]
    chart = picture(said, deep + _BELOW, cells, *_labels(labels, count, deep + _BELOW - 5))
    return _beside(marks, deep + _BELOW, chart)


def bar(value: float, most: float, *, kind: str = "bar") -> Element:
    """A bar in a cell of a table, whose number stands beside it."""
    width = 0 if most <= 0 else max(0.5, 100 * value / most) if value > 0 else 0
    fill = h("rect", {"width": f"{width:.3g}%", "height": 8})
    return h("svg", {"class": kind, "height": 8, "aria-hidden": "true"}, fill)


def legend(*, is_health: bool = False) -> Element:
    """What the shades of a heat map mean."""
    shades = [
        h("rect", {"class": f"heat{number}", "x": str(16 * number), "width": "15", "height": "11"})
        for number in range(1, CLASSES + 1)
    ]
    fields = h("svg", {"width": str(16 * (CLASSES + 1)), "height": "12", "aria-hidden": "true"}, shades)
    hollow = h("rect", {"class": "heat0", "width": "15", "height": "11"})
    none = h("svg", {"width": "16", "height": "12", "aria-hidden": "true"}, hollow)
    return h(
        "p",
        {"class": "legend health" if is_health else "legend"},
        h("span", {}, none, " none"),
        h("span", {}, "fewer ", fields, " more"),
    )


def picture(said: str, height: int, *drawn: Element) -> Element:
    """What was *drawn*, named for who does not see it."""
    return h("svg", {"class": "chart", "role": "img", "aria-label": said, "width": "100%", "height": height}, *drawn)


def _columns(
    values: Sequence[float], y: Callable[[float], float], height: int, tip: Callable[[int], str] | None
) -> Element:
    base, edge = y(0), min(0.4, len(values) / 35)  # few columns are no wider than many
    outlines = []
    for number, value in enumerate(values):
        if value > 0:
            top = min(y(value), base - 1)
            middle = number + 0.5
            outlines.append(f"M{middle - edge:.3g} {base:.0f}V{top:.1f}h{2 * edge:.2g}V{base:.0f}z")
    drawn = h("path", {"class": "column", "d": "".join(outlines)})
    if tip is None:
        return _stretched(len(values), height, drawn)
    # The whole height says the number, however small the column is.
    hits = [
        h("rect", {"x": number, "width": 1, "height": f"{base:.0f}"}, h("title", {}, tip(number)))
        for number in range(len(values))
    ]
    return _stretched(len(values), height, drawn, h("g", {"class": "hits"}, hits))


def _area(values: Sequence[float], y: Callable[[float], float], height: int) -> Element:
    """In steps, for a value is that of a whole hour or day and not of its begin."""
    outline = [f"M0 {y(values[0]):.1f}", "h1"]
    outline += [f"V{y(value):.1f}h1" if value != before else "h1" for before, value in pairwise(values)]
    edge = "".join(outline)
    filled = h("path", {"class": "area", "d": f"{edge}V{y(0):.1f}H0z"})
    return _stretched(len(values), height, filled, h("path", {"class": "edge", "d": edge}))


def _stretched(steps: int, height: int, *drawn: Content) -> Element:
    """What is *drawn* in steps across, over the whole width."""
    box = {"viewBox": f"0 0 {max(1, steps)} {height}", "preserveAspectRatio": "none"}
    return h("svg", {"width": "100%", "height": height, **box}, *drawn)


def _labels(labels: Sequence[tuple[int, str]], count: int, y: float) -> list[Element]:
    """Texts below an axis, at the begin of their steps; on a phone there is no room for one near the end."""
    texts = []
    for number, text in labels:
        share = 100 * number / max(1, count)
        if share <= _LAST_LABEL:
            texts.append(h("text", {"class": "label", "x": f"{share:.2f}%", "y": y}, text))
    return texts


def spread(count: int, most: int) -> range:
    """Numbers up to *count* at equal distances, *most* of them at most."""
    return range(0, count, max(1, ceil(count / most)))


def _class(value: float, most: float) -> str:
    """The class of a field. By the root, because a night has a hundredth of an evening and is not nothing."""
    if value <= 0:
        return "heat0"
    return f"heat{max(1, ceil(CLASSES * (value / most) ** 0.5 - 1e-9))}"
