"""Charts over time: by hour, by day, by hour of the day, and since publication."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark.report import wording
from parsely_spark.report.blocks import figure, nothing, post_name, scrolled, table
from parsely_spark.report.charts import heat_map, legend, spread, time_columns
from parsely_spark.report.elements import h

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parsely_spark.report.elements import Element
    from parsely_spark.report.figures import Period, Site

MOST_HOURS = 14 * 24  # that are drawn one by one; a longer period has its days, and its hours as a heat map
MOST_IN_A_ROW = 96  # hours that can be seen one by one; more stand in a column for each day
MOST_DAYS_APART = 92
FIRST_HOURS = 72
MOST_NEW_POSTS = 6
LABELS = 4  # of an axis, so that a phone has room for them

_MEASURES: dict[str, tuple[str, Callable[[float], str]]] = {
    "pageviews": ("Pageviews", wording.number),
    "visitors": ("Visitors", wording.number),
    "sessions": ("Sessions", wording.number),
    "engaged_s": ("Engaged time", wording.hours),
}


def over_time(site: Site, period: Period, missing: frozenset[str]) -> list[Element]:
    """Pageviews, visitors, sessions and engaged time by hour, where that can be drawn, and by day."""
    names = [name for name in _MEASURES if name != "sessions" or "sessions" not in missing]
    hours, days = period.hours, period.days
    parts = []
    if len(hours) <= MOST_HOURS:
        labels = _midnights(hours)
        charts = []
        for name in names:
            values = site.series(name, hours)
            charts.append(_small_chart(name, values, labels, [wording.hour(of) for of in hours], "hour"))
        parts += [h("h4", {}, "By hour"), h("div", {"class": "multiples"}, charts)]
    if len(days) > 1:
        labels = [(number, wording.day(days[number], weekday=True)) for number in spread(len(days), LABELS)]
        shown = [wording.day(of, weekday=True) for of in days]
        charts = [_small_chart(name, site.daily(name, days), labels, shown, "day") for name in names]
        parts += [h("h4", {}, "By day"), h("div", {"class": "multiples"}, charts), _days_table(site, period, names)]
    if len(hours) > MOST_IN_A_ROW:
        charts = [hours_of_days(site, name, _MEASURES[name][0], period) for name in names]
        parts += [h("h4", {}, "By hour of the day"), h("div", {"class": "multiples"}, charts), legend()]
    return parts


def _small_chart(name: str, values: list[float], labels: list[tuple[int, str]], steps: list[str], of: str) -> Element:
    title, text = _MEASURES[name]
    shown = [value / 3600 for value in values] if name == "engaged_s" else values
    best = max(range(len(values)), key=values.__getitem__, default=0)
    total = "" if name == "visitors" else f" {text(sum(values))} in all,"
    said = f"{title} by {of}:{total} at most {text(values[best])} ({steps[best]})."
    chart = time_columns(shown, said=said, labels=labels, tip=lambda at: f"{steps[at]}: {text(values[at])}")
    return figure(title, chart, note="hours" if name == "engaged_s" else None)


def _days_table(site: Site, period: Period, names: Sequence[str]) -> Element:
    """The numbers of each day, or of each week; who came on several days cannot be added up."""
    step, days = days_of_step(period), period.days
    rows = []
    for first in range(0, len(days), step):
        some = [site.days.get(of, {}) for of in days[first : first + step]]
        sums = {name: sum(counts.get(name, 0) for counts in some) for name in names}
        sums["visitors"] /= len(some)
        rows.append([wording.day(days[first], weekday=True), *[_MEASURES[name][1](sums[name]) for name in names]])
    heads = [("Visitors, average day" if name == "visitors" and step > 1 else _MEASURES[name][0]) for name in names]
    shown = table("Each day" if step == 1 else "Each week", ["Day" if step == 1 else "Week from", *heads], rows)
    return h(
        "details", {}, h("summary", {}, "Numbers of each day" if step == 1 else "Numbers of each week"), scrolled(shown)
    )


def hours_of_days(site: Site, name: str, title: str, period: Period) -> Element:
    """A heat map: a column for each day, a row for each hour of it; of events, empty hours stand out."""
    days, there = period.days, set(period.hours)
    step, text = days_of_step(period), _MEASURES[name][1] if name in _MEASURES else wording.number
    columns = [days[first : first + step] for first in range(0, len(days), step)]
    rows = [
        [_sum_of(site, name, [24 * day + hour for day in some if 24 * day + hour in there]) for some in columns]
        for hour in range(24)
    ]
    by_hour = [sum(value or 0 for value in row) for row in rows]
    best = max(range(24), key=by_hour.__getitem__)
    said = (
        f"{title} by day and hour of the day: most from {best:02d}:00 to {best + 1:02d}:00, "
        f"{text(by_hour[best])} on all days together."
    )
    labels = [(number, wording.day(columns[number][0], weekday=step == 1)) for number in spread(len(columns), LABELS)]
    marks = [(hour, f"{hour:02d} h") for hour in (0, 6, 12, 18)]
    lines = [[f"{hour:02d}:00", text(count)] for hour, count in enumerate(by_hour)]
    numbers = table(f"{title} by hour of the day, all days together", ["Hour", title], lines)
    chart = heat_map(rows, said=said, row_labels=marks, labels=labels)
    return figure(title, h("div", {"class": "health"}, chart) if name == "events" else chart, numbers=numbers)


def days_of_step(period: Period) -> int:
    """How many days stand together where each has a line or a column: one, or in a long period a week."""
    return 1 if len(period.days) <= MOST_DAYS_APART else 7


def _sum_of(site: Site, name: str, hours: Sequence[int]) -> float | None:
    return sum(site.hours.get(hour, {}).get(name, 0) for hour in hours) if hours else None


def _midnights(hours: Sequence[int]) -> list[tuple[int, str]]:
    """Labels at the begins of days; of one day alone, at some of its hours."""
    starts = [number for number, of in enumerate(hours) if of % 24 == 0]
    if len(starts) < 2:
        return [(number, f"{hours[number] % 24:02d} h") for number in spread(len(hours), 8)]
    return [
        (starts[number], wording.day(hours[starts[number]] // 24, weekday=True))
        for number in spread(len(starts), LABELS)
    ]


def first_hours(site: Site, together: bool) -> list[Element]:
    """A chart for each of the most read posts that are new."""
    hours = {(item.apikey, item.name): item.counts for item in site.by.get("first_hours", [])}
    new = [post for post in site.by.get("new_posts", []) if (post.apikey, post.name) in hours][:MOST_NEW_POSTS]
    if not new:
        return [nothing("No post that was read in this period was published in it.")]
    most = max(max(hours[post.apikey, post.name].values(), default=0) for post in new)
    charts = []
    for post in new:
        counts = hours[post.apikey, post.name]
        values = [counts.get(str(hour), 0) for hour in range(FIRST_HOURS)]
        total = h("span", {}, f" {wording.number(sum(values))} pageviews")
        caption = h("figcaption", {}, post_name(post, with_site=together), total)
        charts.append(h("figure", {}, caption, _first_hours_chart(values, most)))
    return [h("div", {"class": "multiples thirds"}, charts)]


def _first_hours_chart(values: list[float], most: float) -> Element:
    best = max(range(FIRST_HOURS), key=values.__getitem__)
    total, at_best = wording.number(sum(values)), wording.number(values[best])
    return time_columns(
        values,
        said=f"{total} pageviews in {FIRST_HOURS} hours, most in hour {best}: {at_best}.",
        labels=[(0, "0 h"), (24, "24 h"), (48, "48 h")],
        height=96,
        most=most,
    )
