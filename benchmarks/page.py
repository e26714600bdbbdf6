"""The tables, as `make bench` prints them and as they stand in docs/performance.md beside what was written by hand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from benchmarks.cases import GROUPS, Case, all_cases
from benchmarks.chart import Bar, chart
from benchmarks.data import ROOT
from benchmarks.results import medians_of
from benchmarks.targets import best, events_alone, lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.results import Result

PAGE, CHART = ROOT / "docs/performance.md", ROOT / "docs/performance.svg"
BEGIN, END = "<!-- Begin of what `make bench` writes. -->", "<!-- End of what `make bench` writes. -->"
_HEADER = ("what", "makes", "s", "ratio", "s to `events`", "CPU s", "GiB, all", "GiB, largest", "runs")


def table_of(group: str, results: Mapping[str, Result]) -> str:
    """The table of a *group* as Markdown; empty where nothing of it is measured."""
    cases = [case for case in all_cases() if case.group == group and case.name in results]
    if not cases:
        return ""
    base = best(medians_of(results.values()), GROUPS[group].ratio_to)
    rows = [_row(case, results[case.name], base) for case in cases]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (_HEADER, _rule(), *rows))


def _rule() -> list[str]:
    return ["---", "---", *["---:"] * (len(_HEADER) - 2)]


def _row(case: Case, result: Result, base: float | None) -> list[str]:
    took = result.medians
    if not took:
        return [case.title, case.does, f"failed: {result.error.splitlines()[0][:80]}", *[""] * (len(_HEADER) - 3)]
    return [
        case.title,
        case.does,
        f"{took['wall_s']:.1f}",
        f"{took['wall_s'] / base:.2f}" if base else "",
        f"{took['events_s']:.1f}" if "events_s" in took else "",
        f"{took['cpu_s']:.0f}",
        f"{took['tree_mib'] / 1024:.1f}",
        f"{took['process_mib'] / 1024:.1f}",
        str(len(result.runs)),
    ]


def target_lines(results: Mapping[str, Result]) -> tuple[list[str], bool]:
    """The lines that must hold, and whether those measured do."""
    return lines(medians_of(results.values()))


def generated(results: Mapping[str, Result]) -> str:
    """What stands between the markers."""
    parts = [f"![Seconds of each, as in the tables below]({CHART.name})\n"] if _bars(results) else []
    for group, about in GROUPS.items():
        if table := table_of(group, results):
            measured = [results[case.name] for case in all_cases() if case.group == group and case.name in results]
            parts.append(f"### {about.title}\n\n{table}\n{_when(measured)}\n")
    said = [*target_lines(results)[0], *events_alone(medians_of(results.values()))]
    reached = "".join(f"- {line}\n" for line in said)
    return "\n".join([*parts, "### What has to be reached\n", reached or "Nothing is measured yet.\n"])


def _when(results: Iterable[Result]) -> str:
    """When and where, and of which versions: mostly one line."""
    measured = list(results)
    made = sorted({f"{result.at[:10]}, commit {result.commit}, {result.machine}" for result in measured})
    versions = {name: version for result in measured for name, version in result.versions.items()}
    peers = "; ".join(f"{name} {version}" for name, version in versions.items())
    return f"{'; '.join(made)}.{f' Of the peers: {peers}.' if peers else ''}"


def _bars(results: Mapping[str, Result]) -> dict[str, list[Bar]]:
    parts: dict[str, list[Bar]] = {}
    for case in all_cases():
        took = results[case.name].medians if case.name in results else {}
        if case.group.startswith("peers-") and took:
            is_ours = not case.peer
            name = f"{case.title}, 3 tables" if is_ours and case.flags else case.title
            bar = Bar(name, took["wall_s"], took.get("events_s"), is_ours)
            parts.setdefault(GROUPS[case.group].title, []).append(bar)
    return parts


def write_page(results: Mapping[str, Result]) -> None:
    """Put the tables between the markers of the page, and draw the chart."""
    page = PAGE.read_text(encoding="utf-8")
    between = re.compile(f"(?<={re.escape(BEGIN)}\n).*(?={re.escape(END)})", re.DOTALL)
    if not between.search(page):
        raise ValueError(f"{PAGE} has no lines {BEGIN} and {END}; the tables go between them.")
    text = f"\n{generated(results)}\n"
    PAGE.write_text(between.sub(lambda _: text, page), encoding="utf-8")
    if bars := _bars(results):
        CHART.write_text(chart(bars), encoding="utf-8")


def printed(groups: Sequence[str], results: Mapping[str, Result]) -> str:
    """What a run ends with: the tables of its *groups*, and all that must be reached."""
    tables = [f"\n{GROUPS[group].title}\n\n{table}" for group in groups if (table := table_of(group, results))]
    said = [*target_lines(results)[0], *events_alone(medians_of(results.values()))]
    return "\n".join([*tables, "", *said])
