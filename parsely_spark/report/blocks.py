"""What the parts of the page are made of: sections, figures with their numbers, tables with bars, tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parsely_spark.report import wording
from parsely_spark.report.charts import bar
from parsely_spark.report.elements import Element, h, link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from parsely_spark.report.elements import Content
    from parsely_spark.report.figures import Counts, Item


_NARROW = 3  # columns that a phone has room for


@dataclass(frozen=True)
class Column:
    """A column of numbers.

    Attributes:
        head: its heading.
        text: what a row says in it.
    """

    head: str
    text: Callable[[Counts], str]


def count_of(name: str, head: str) -> Column:
    """A column with the count of *name*."""
    return Column(head, lambda counts: wording.number(counts.get(name, 0)))


def section(title: str, *content: Content, lead: str | None = None) -> Element:
    """A section of the third level, with what is to be known to read it."""
    return h("section", {}, h("h3", {}, title), h("p", {"class": "lead"}, lead) if lead else None, *content)


def row(*side_by_side: Element) -> Element:
    """Blocks that stand side by side where there is room, two or three of them."""
    return h("div", {"class": f"row row-{len(side_by_side)}"}, [h("div", {}, block) for block in side_by_side])


def figure(title: str, *drawn: Content, numbers: Element | None = None, note: str | None = None) -> Element:
    """A chart with its title, and its numbers for who wants them or cannot see it."""
    caption = h("figcaption", {}, h("strong", {}, title), h("span", {}, f" {note}") if note else None)
    folded = h("details", {}, h("summary", {}, "Numbers"), scrolled(numbers)) if numbers is not None else None
    return h("figure", {}, caption, *drawn, folded)


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Content]], *, texts: int = 1) -> Element:
    """A table of which the first cell of a row names it.

    Args:
        caption: what it is about.
        heads: of the columns.
        rows: their cells.
        texts: how many columns, from the first on, are texts; the others are numbers.
    """

    def kind(number: int) -> str | None:
        return None if number < texts else "n"

    head = [h("th", {"scope": "col", "class": kind(number)}, text) for number, text in enumerate(heads)]
    body = [
        h(
            "tr",
            {},
            [
                h("th", {"scope": "row"}, cell) if number == 0 else h("td", {"class": kind(number)}, cell)
                for number, cell in enumerate(row)
            ],
        )
        for row in rows
    ]
    named = h("caption", {}, caption)
    return h("table", {}, named, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body))


def scrolled(of: Element) -> Element:
    """A table that may be wider than a phone and then moves by itself, by the keyboard, too."""
    caption = of.find("caption")
    name = "Table" if caption is None else caption.text
    return h("div", {"class": "scrolled", "tabindex": "0", "role": "region", "aria-label": name}, of)


def ranking(
    caption: str,
    items: Sequence[Item],
    columns: Sequence[Column],
    *,
    what: str,
    by: str,
    whole: float | None = None,
    name: Callable[[Item], Content] | None = None,
    show: int = 10,
) -> Element:
    """The largest of *items*, each with a bar for what they are ordered *by*, and with its share of a *whole*."""
    shown = items[:show]
    if not shown:
        return nothing("There is none in this period.")
    most = max(item.counts.get(by, 0) for item in shown)
    heads = [what, *([] if whole is None else ["Share"]), *[column.head for column in columns]]
    rows: list[list[Content]] = []
    for item in shown:
        value = item.counts.get(by, 0)
        shown_name: Content = name(item) if name else isolated(wording.named(item.name))
        share: list[Content] = [] if whole is None else [wording.percent(value, whole)]
        rows.append([[shown_name, bar(value, most)], *share, *[column.text(item.counts) for column in columns]])
    made = table(caption, heads, rows)
    return made if len(heads) <= _NARROW else scrolled(made)


def distribution(
    caption: str, classes: Sequence[tuple[str, float]], *, what: str, unit: str, kind: str = "bar"
) -> Element:
    """How many there are of each class, in the order of the classes."""
    whole = sum(count for _, count in classes)
    if not whole:
        return nothing("There is none in this period.")
    most = max(count for _, count in classes)
    rows: list[list[Content]] = [
        [label, bar(count, most, kind=kind), wording.number(count), wording.percent(count, whole)]
        for label, count in classes
    ]
    shown = table(caption, [what, "", unit, "Share"], rows, texts=2)
    shown.set("class", "distribution")
    return shown


def tiles(of: Sequence[tuple[str, str, str | None]]) -> Element:
    """The few numbers that come first: name, value, remark."""
    return h(
        "dl",
        {"class": "tiles"},
        [
            h("div", {}, h("dt", {}, name), h("dd", {}, value, h("small", {}, note) if note else None))
            for name, value, note in of
        ],
    )


def post_name(item: Item, *, with_site: bool) -> Element:
    """A post by its title, which leads to it, else by its address."""
    title = wording.named(item.title) if item.title else wording.address(item.name)
    return h("span", {"class": "name"}, link(item.name, isolated(title)), _site(item) if with_site else None)


def page_name(item: Item) -> Element:
    """A page by its address, which leads to it."""
    return h("span", {"class": "name"}, link(item.name, isolated(wording.address(item.name))))


def plain_name(item: Item, *, with_site: bool) -> Element:
    """A name, and where several are together its site."""
    return h("span", {"class": "name"}, isolated(wording.named(item.name)), _site(item) if with_site else None)


def isolated(text: str) -> Element:
    """A text of others, whose direction is its own affair."""
    return h("bdi", {}, text)


def nothing(text: str) -> Element:
    """In the place of what there is not."""
    return h("p", {"class": "nothing"}, text)


def _site(item: Item) -> Element | None:
    return h("small", {}, " ", isolated(item.apikey)) if item.apikey else None


def mark(is_well: bool, text: str) -> Element:
    """A word that is told apart by more than its colour."""
    sign = "✓" if is_well else "▲"
    return h("span", {"class": "well" if is_well else "amiss"}, h("span", {"aria-hidden": "true"}, f"{sign} "), text)
