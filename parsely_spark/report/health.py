"""What is asked about the events themselves: when and how they came, and whether they add up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from parsely_spark import columns
from parsely_spark.report.classes import ACCOUNT, BALANCED, CLOCK_MS, LATENESS_MS
from parsely_spark.report.figures import Balance, LakeFigures, Rejects, RunFigures
from parsely_spark.tables.catalog import EVENTS, INGESTED_FILES, REJECTED_LINES, RUNS
from parsely_spark.tables.folding import State, state_of
from parsely_spark.tables.folds import FOLDS
from parsely_spark.tables.gaps import read_open_gaps
from parsely_spark.tables.news import rows_at
from parsely_spark.tables.retention import whole_of
from parsely_spark.transforms.fold import totals
from parsely_spark.transforms.measures import Sum

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pyspark.sql import Column, DataFrame, Row

    from parsely_spark.tables.catalog import Lake
    from parsely_spark.tables.news import News
    from parsely_spark.tables.views.view import Scope
    from parsely_spark.transforms.fold import Fold

RUNS_SHOWN = 10
EXAMPLE_LETTERS = 200
_TABLES_AT_ONCE = 4
MOST_KEYS = 50  # of _rescued, of a site


def events_by_hour(lake: Lake, scope: Scope, sites: Sequence[str]) -> list[Row]:
    """Of each site and hour, how many events there are, and how many of each kind; one pass over few columns."""
    server = columns.server_ms()
    pixel = F.col("timestamp_info_pixel_ms") - server
    conditions = {
        "bots": F.col("is_bot"),
        "nobody": ~columns.is_somebody(),
        "no_tracker_session": columns.is_somebody() & ~columns.has_tracker_session(),
        "rescued": F.col("_rescued").isNotNull(),
        "no_server_time": F.col("timestamp_info_nginx_ms").isNull(),
        # What the client said of the time, and was not believed.
        "client_time_refused": columns.utc_ms("ts_action").isNotNull()
        & (columns.utc_ms("ts_action") != F.unix_millis("event_at")),
        "session_time_refused": columns.has_tracker_session() & ~columns.is_session_clock_sane(server),
        **_classes("lateness", server - F.unix_millis("event_at"), LATENESS_MS),
        **_classes("clock", pixel, CLOCK_MS),
        **{action: columns.is_action(action) for action in columns.STANDARD_ACTIONS},
        "custom": columns.is_custom_event(),
    }
    counted = [F.count_if(F.coalesce(is_so, F.lit(False))).alias(name) for name, is_so in conditions.items()]
    hour = F.expr(scope.local_hour("event_at")).alias("hour_")
    return _events(lake, scope, sites).groupBy("apikey", hour).agg(F.count("*").alias("events"), *counted).collect()


def rescued_keys(lake: Lake, scope: Scope, sites: Sequence[str]) -> list[Row]:
    """Of each site, the keys of ``_rescued`` with how many events have them, the most frequent first."""
    keys = F.explode(F.array_distinct(F.json_object_keys("_rescued"))).alias("key")
    return (
        _events(lake, scope, sites)
        .where(F.col("_rescued").isNotNull())
        .select("apikey", keys, "event_at")
        .groupBy("apikey", "key")
        .agg(F.count("*").alias("events"), F.min("event_at").alias("first"), F.max("event_at").alias("last"))
        .select("apikey", F.left("key", F.lit(EXAMPLE_LETTERS)).alias("key"), "events")
        .orderBy(F.desc("events"), "key")
        .limit(MOST_KEYS * max(1, len(sites)))
        .collect()
    )


def states(lake: Lake, there: Collection[str], news: News) -> dict[str, State]:
    """How far each derived table *there* is with the events, which are those of *news*.

    To be asked before anything large: looking at commits, all of the session does without generated code.
    """
    names = [fold.name for fold in FOLDS if fold.name in there]
    with ThreadPoolExecutor(_TABLES_AT_ONCE) as threads:  # mostly to wait for the storage
        return dict(zip(names, threads.map(lambda name: state_of(lake, name, news), names), strict=True))


def lake_figures(lake: Lake, there: Collection[str], of_tables: Mapping[str, State]) -> LakeFigures:
    """What is about no site: runs, files, rejected lines, sums and gaps.

    Args:
        lake: where the tables are.
        there: the names of the tables that it has.
        of_tables: the `states` of the derived ones.
    """
    found = LakeFigures()
    if RUNS.name in there:
        found.runs, found.account = _runs(lake)
        found.gaps = read_open_gaps(lake)
    if INGESTED_FILES.name in there:
        found.files = _files(lake)
    if REJECTED_LINES.name in there:
        found.rejected = _rejects(lake)
    found.balances = _balances(lake, of_tables)
    return found


def _events(lake: Lake, scope: Scope, sites: Sequence[str]) -> DataFrame:
    return lake.read(EVENTS.name).where(scope.is_in_period("event_at", "date")).where(F.col("apikey").isin(*sites))


def _classes(name: str, value: Column, ends: dict[str, int | None]) -> dict[str, Column]:
    """A condition for each class of *value*: below its end and not below that of the one before."""
    conditions, above = {}, F.lit(True)
    for label, end in ends.items():
        below = F.lit(True) if end is None else value < end
        conditions[f"{name} {label}"] = value.isNotNull() & above & below
        above = F.lit(False) if end is None else value >= end
    return conditions


def _runs(lake: Lake) -> tuple[list[RunFigures], dict[str, float]]:
    """The last runs, each with its account, and the account of all together."""
    runs = lake.read(RUNS.name).where(F.col("job").isin("batch", "stream"))
    sums = [F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in (*ACCOUNT, "files", "quarantined")]
    rows = (
        runs.groupBy("job", "run_id")
        .agg(
            F.max(F.unix_millis("ended_at")).alias("ended_ms"),
            F.max_by("outcome", "ended_at").alias("outcome"),
            F.max_by("error", "ended_at").alias("error"),
            F.array_sort(F.array_distinct(F.flatten(F.collect_list("unknown_fields")))).alias("unknown_fields"),
            *sums,
        )
        .orderBy(F.desc("ended_ms"), "run_id")
        .limit(RUNS_SHOWN)
        .collect()
    )
    all_of_them = runs.agg(F.countDistinct("run_id").alias("runs"), *sums).collect()[0]
    return [
        RunFigures(
            job=row["job"],
            run_id=row["run_id"],
            ended_at=_at(row["ended_ms"]),
            outcome=row["outcome"] or "",
            error=row["error"],
            counts={name: row[name] for name in (*ACCOUNT, "files", "quarantined")},
            unknown_fields=tuple(row["unknown_fields"]),
        )
        for row in rows
    ], all_of_them.asDict()


def _files(lake: Lake) -> dict[str, float]:
    """How many files there are, and how long after a file's last change its lines were in the lake, s."""
    read = lake.read(INGESTED_FILES.name)
    waited_s = (F.unix_millis("ingested_at") - F.unix_millis("modified_at")) / 1000
    shares = F.percentile_approx(F.when(F.col("error").isNull(), waited_s), F.lit([0.5, 0.9, 1.0]))
    row = read.agg(
        F.count_if(F.col("error").isNull()).alias("files"),
        F.count_if(F.col("error").isNotNull()).alias("left_out"),
        F.coalesce(F.sum("size_bytes"), F.lit(0)).alias("bytes"),
        shares.alias("waited_s"),
    ).collect()[0]
    waited = row["waited_s"] or [0.0, 0.0, 0.0]
    return {
        **{name: row[name] for name in ("files", "left_out", "bytes")},
        **dict(zip(("waited_s_half", "waited_s_most", "waited_s_longest"), waited, strict=True)),
    }


def _rejects(lake: Lake) -> list[Rejects]:
    # The beginning is cut where the line is read: a line may have 16 MiB.
    example = F.struct(F.left("line", F.lit(EXAMPLE_LETTERS + 1)).alias("line"), "source")
    rows = (
        lake.read(REJECTED_LINES.name)
        .groupBy("reason")
        .agg(
            F.count("*").alias("lines"),
            F.max(F.unix_millis("first_seen_at")).alias("newest_ms"),
            F.max_by(example, F.struct("first_seen_at", "line_sha256")).alias("example"),
        )
        .orderBy(F.desc("lines"), "reason")
        .collect()
    )
    return [
        Rejects(
            reason=row["reason"],
            lines=row["lines"],
            newest_at=_at(row["newest_ms"]),
            example=row["example"]["line"],
            source=row["example"]["source"],
        )
        for row in rows
    ]


def _balances(lake: Lake, of_tables: Mapping[str, State]) -> list[Balance]:
    """The sums of each derived table beside those of the events that it holds; of the lake from its beginning.

    A period would not do: a session is of the hour in which it began, and its events are of others.
    """
    folds = [fold for fold in FOLDS if fold.name in of_tables]
    wholes = {fold.name: whole_of(lake, fold) for fold in folds}
    # Where events have gone for their age, which of the others are of a session that is whole only its rows tell.
    folds = [fold for fold in folds if (whole := wholes[fold.name]) is None or whole.is_by_event]
    measures = {
        fold.name: [m.name for m in fold.measures if isinstance(m, Sum) and m.name in BALANCED] for fold in folds
    }

    def whole_rows(table: str, fold: str, version: int) -> DataFrame:
        rows, whole = rows_at(lake, table, version), wholes[fold]
        return rows if whole is None else rows.where(whole.of_stored())

    same: dict[tuple[int, Any], list[Fold]] = {}  # by the events that they hold
    for fold in folds:
        if measures[fold.name]:
            whole = wholes[fold.name]
            same.setdefault((of_tables[fold.name].folded, whole and whole.since), []).append(fold)
    found = []
    for (version, _), here in same.items():
        for row in totals(whole_rows(EVENTS.name, here[0].name, version), *here).collect():
            if row["measure"] in BALANCED:
                found.append((row, of_tables[row["table"]]))
    stored = {name: _stored(whole_rows(name, name, of_tables[name].version), of) for name, of in measures.items() if of}
    order = {fold.name: number for number, fold in enumerate(folds)}
    return sorted(
        (
            Balance(
                table=row["table"],
                measure=row["measure"],
                stored=stored[row["table"]][row["measure"]],
                expected=row["taken"] + row["lost"],
                rest=row["rest"] - row["lost"],
                behind=state.events - state.folded,
            )
            for row, state in found
        ),
        key=lambda balance: (BALANCED.index(balance.measure), order[balance.table]),
    )


def _stored(rows: DataFrame, measures: Sequence[str]) -> dict[str, int]:
    return rows.agg(*[F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in measures]).collect()[0].asDict()


def _at(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)
