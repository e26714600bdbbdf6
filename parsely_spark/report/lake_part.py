"""The part of the page about the lake as a whole: lines, sums, files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark.report import wording
from parsely_spark.report.blocks import isolated, mark, nothing, row, scrolled, section, table
from parsely_spark.report.classes import ACCOUNT, BALANCED
from parsely_spark.report.elements import h
from parsely_spark.report.figures import unexplained

if TYPE_CHECKING:
    from parsely_spark.report.elements import Content, Element
    from parsely_spark.report.figures import Counts, Figures


def lake_part(figures: Figures) -> list[Content]:
    """All sections about the lake as a whole."""
    return [
        section("Every line is accounted for", *_account(figures), lead=_LEADS["account"]),
        section("Totals agree", *_balances(figures), lead=_LEADS["totals"]),
        section("Rejected lines", *_rejects(figures), lead=_LEADS["rejected"]),
        row(section("Gaps of streams", *_gaps(figures)), section("Files", *_files(figures.lake.files))),
    ]


_LEADS = {
    "account": "lines = inserted + duplicate + rejected + blank, in each run.",
    "totals": "The same sums in every table, of all events since the lake began. What a table leaves out on purpose, "
    "such as events of nobody in sessions, is its rest.",
    "rejected": "Lines that are no event, with the beginning of the newest of each reason.",
}


def _account(figures: Figures) -> list[Element]:
    lake = figures.lake
    if not lake.runs:
        return [nothing("No run of batch or stream is noted in this lake.")]
    heads = ["Ended", "Run of", "Outcome", *[name.capitalize() for name in ACCOUNT], "Unexplained"]
    rows: list[list[Content]] = [
        [
            wording.instant(run.ended_at, figures.period.timezone),
            run.job,
            [
                mark(run.outcome in ("done", "running"), run.outcome),
                h("small", {}, f" {wording.named(run.error)}") if run.error else None,
            ],
            *_of_account(run.counts),
            mark(not run.missing, wording.number(run.missing)),
        ]
        for run in lake.runs
    ]
    every = round(lake.account.get("runs", 0))
    rows.append(
        [
            h("strong", {}, f"All {every:,} runs" if every > 1 else "The one run"),
            "", "", *_of_account(lake.account),
            mark(not unexplained(lake.account), wording.number(unexplained(lake.account))),
        ]
    )  # fmt: skip
    unknown = sorted({name for run in lake.runs for name in run.unknown_fields})
    named = h(
        "p",
        {},
        "Fields that these runs met and the schema does not know: ",
        [[h("code", {}, wording.named(name, longest=60)), " "] for name in unknown[:30]],
    )
    return [scrolled(table("The last runs, the newest first", heads, rows, texts=3)), *([named] if unknown else [])]


def _of_account(counts: Counts) -> list[str]:
    return [wording.number(counts.get(name, 0)) for name in ACCOUNT]


def _balances(figures: Figures) -> list[Element]:
    balances = figures.lake.balances
    if not balances:
        return [nothing("This lake has no derived table whose sums could be compared.")]
    titles = {"pageviews": "Pageviews", "engaged_s": "Engaged time, s", "videostarts": "Videos started",
              "watched_s": "Watched time, s", "conversions": "Conversions"}  # fmt: skip
    rows: list[list[Content]] = []
    for measure in BALANCED:
        for number, balance in enumerate(b for b in balances if b.measure == measure):
            difference = balance.stored - balance.expected
            verdict = mark(difference == 0, "equal" if difference == 0 else f"{difference:+,}")
            if balance.behind:
                verdict = mark(False, f"{balance.behind:,} versions of events behind")
            rows.append(
                [
                    [titles[measure] if number == 0 else h("span", {"class": "again"}, titles[measure])],
                    h("code", {}, balance.table),
                    wording.number(balance.expected + balance.rest),
                    wording.number(balance.stored),
                    wording.number(balance.rest),
                    verdict,
                ]
            )
    heads = ["Sum of", "Table", "In events", "In the table", "Rest", "Difference"]
    return [scrolled(table("Sums of all events, and of each table", heads, rows, texts=2))]


def _rejects(figures: Figures) -> list[Element]:
    rejected = figures.lake.rejected
    if not rejected:
        return [nothing("No line was ever rejected.")]
    rows: list[list[Content]] = [
        [
            h("code", {}, one.reason),
            h("code", {"class": "example"}, isolated(wording.named(one.example, longest=160))),
            h("small", {"class": "example"}, isolated(wording.address(one.source))),
            wording.number(one.lines),
            wording.instant(one.newest_at, figures.period.timezone),
        ]
        for one in rejected
    ]
    heads = ["Reason", "Newest line", "In", "Lines", "Last seen"]
    return [scrolled(table("Rejected lines by reason", heads, rows, texts=3))]


def _gaps(figures: Figures) -> list[Element]:
    gaps = figures.lake.gaps
    if not gaps:
        return [nothing("None is open.")]
    zone = figures.period.timezone
    rows: list[list[Content]] = [
        [wording.instant(gap.since, zone), wording.instant(gap.until, zone), ", ".join(gap.shards)] for gap in gaps
    ]
    said = h("p", {}, "`parsely-spark status` says which command brings them in.")
    return [table("Times that a stream may have lost", ["From", "Until", "Shards"], rows, texts=3), said]


def _files(files: Counts) -> list[Element]:
    if not files.get("files") and not files.get("left_out"):
        return [nothing("No file was read; a stream fills this lake.")]
    rows: list[list[Content]] = [
        ["Files that were read", wording.number(files["files"])],
        ["Files that were left out", wording.number(files["left_out"])],
        ["Their size", f"{files['bytes'] / 2**20:,.1f} MiB"],
        [
            "From the change of a file to its lines being in the lake: half of them within",
            wording.duration(files["waited_s_half"]),
        ],
        ["nine of ten within", wording.duration(files["waited_s_most"])],
        ["the slowest", wording.duration(files["waited_s_longest"])],
    ]
    return [table("Files of raw events", ["What", "Number"], rows)]
