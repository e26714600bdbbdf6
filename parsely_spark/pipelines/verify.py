"""Whether the tables are what they promise to be: each computed from nothing and compared with what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.errors import LakeError
from parsely_spark.findings import Difference, Findings, Total
from parsely_spark.keeping import kept
from parsely_spark.storage_errors import storage_errors
from parsely_spark.tables.catalog import EVENTS, FORGOTTEN, INGESTED_FILES, RUNS
from parsely_spark.tables.commits import version_of
from parsely_spark.tables.erasure import erased_events
from parsely_spark.tables.folding import State, from_nothing, state_of
from parsely_spark.tables.folds import USUAL_DEPTHS, folds_of
from parsely_spark.tables.news import rows_at
from parsely_spark.tables.retention import oldest_day, whole_of
from parsely_spark.transforms.dedupe import EVENT_KEY
from parsely_spark.transforms.fold import totals
from parsely_spark.transforms.measures import Sum

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pyspark.sql import Column, DataFrame

    from parsely_spark.progress import Progress
    from parsely_spark.reporting import DepthSettings
    from parsely_spark.tables.catalog import Lake
    from parsely_spark.tables.retention import Whole
    from parsely_spark.transforms.fold import Fold

MOST_SHOWN = 20  # differences of a table
_SHARES = 1_000_000


def run_verify(
    lake: Lake,
    progress: Progress,
    *,
    sample: float = 1.0,
    tables: Collection[str] = (),
    depths: DepthSettings = USUAL_DEPTHS,
) -> Findings:
    """Compare what is stored with what the events say.

    Args:
        lake: where the tables are.
        progress: is told what goes on.
        sample: the share of the rows that are looked at, chosen by their keys: 1 is all of them.
        tables: the derived tables to look at; none means all.
        depths: what counts as reading and watching in them.

    Raises:
        LakeError: if the tables cannot be read.
    """
    findings = Findings(sample=sample)
    with storage_errors(LakeError, lake.place):
        lake.look()
        for table in (EVENTS, INGESTED_FILES):
            lake.require(table.name)
        with progress.step(EVENTS.name) as step:
            _check_events(lake, findings)
            step.note(_said_of(EVENTS.name, findings))
        for fold in folds_of(tables, depths):
            with progress.step(fold.name) as step:
                lake.require(fold.name)
                _check_fold(lake, fold, findings)
                step.note(_said_of(fold.name, findings))
    return findings


def _check_events(lake: Lake, findings: Findings) -> None:
    # What was noted first: a run that goes on meanwhile notes its events after it has inserted them.
    wanted = _noted(lake)
    all_events = rows_at(lake, EVENTS.name, version_of(lake, EVENTS.name))
    there = findings.events = all_events.count()
    # And what was deleted last, for the same reason.
    if lake.has(FORGOTTEN.name) or oldest_day(lake.properties_of(EVENTS.name)) is not None:
        wanted -= sum(erased_events(lake).values())
    events = all_events.where(_is_in(findings.sample, EVENT_KEY))
    copies = events.groupBy(*EVENT_KEY).count()
    findings.rows[EVENTS.name] = events.count()
    twice = copies.where("count > 1")
    findings.different[EVENTS.name] = twice.count() + max(0, wanted - there)
    if there < wanted:  # more may be there: of a run that died before it noted them
        findings.differences.append(
            Difference(
                table=EVENTS.name,
                key="all that ingested_files and runs say were inserted",
                stored=f"{there:,} rows",
                expected=f"{wanted:,} rows or more",
            )
        )
    for row in twice.orderBy(*EVENT_KEY).limit(MOST_SHOWN).collect():
        key = " ".join(f"{name}={row[name]}" for name in EVENT_KEY)
        findings.differences.append(
            Difference(table=EVENTS.name, key=key, stored=f"{row['count']} rows", expected="1 row")
        )


def _noted(lake: Lake) -> int:
    """How many events have come in at least, by what was noted when they were inserted: of files and of a stream.

    An event is noted once at most, by who inserted it: whoever dies before that leaves it unnoted, and who repeats the
    work finds it there. Each row counts once, for a commit whose answer was lost may have been made again. A stream may
    go on after its table of events was made anew, from files, so what it noted before is not of this one. Only events
    that a lost commit had brought, and that came again, are noted twice; such a commit is what is looked for here.
    """
    version = ("path", "size_bytes", "modified_at")
    noted = [lake.read(INGESTED_FILES.name).select("run_id", *version, "inserted").distinct()]
    if lake.has(RUNS.name):
        made_ms = lake.detail(EVENTS.name).select(F.unix_millis("createdAt")).collect()[0][0]
        of_streams = lake.read(RUNS.name).where((F.col("job") == "stream") & (F.unix_millis("ended_at") >= made_ms))
        noted.append(of_streams.select("run_id", "started_at", "ended_at", "inserted").distinct())
    inserted: int = sum(rows.agg(F.coalesce(F.sum("inserted"), F.lit(0))).collect()[0][0] for rows in noted)
    return inserted


def _check_fold(lake: Lake, fold: Fold, findings: Findings) -> None:
    state = state_of(lake, fold.name)
    findings.folded[fold.name] = state.folded
    if behind := state.events - state.folded:
        findings.behind[fold.name] = behind
    comparable = {measure.name: measure.comparable(F.col(measure.name)) for measure in fold.measures}
    all_stored, made = rows_at(lake, fold.name, state.version), from_nothing(lake, fold, version=state.folded)
    if (whole := whole_of(lake, fold)) is not None:
        findings.whole_since[fold.name] = whole.since.isoformat()
        made, all_stored = whole.of_made(made, all_stored), all_stored.where(whole.of_stored())
    stored, expected = (
        rows.where(_is_in(findings.sample, fold.key_names)).withColumns(comparable) for rows in (all_stored, made)
    )
    findings.rows[fold.name] = stored.count()
    with kept(_different_pairs(stored, expected, fold.grouping_names, stored.columns)) as pairs:
        findings.different[fold.name] = pairs.count()
        for row in pairs.orderBy("key").limit(MOST_SHOWN).collect():
            for column in row["columns"]:
                findings.differences.append(
                    Difference(
                        table=fold.name,
                        key=row["key"],
                        column=column["name"],
                        stored=column["stored"],
                        expected=column["expected"],
                    )
                )
    _check_totals(lake, fold, state, findings, whole)


def _check_totals(lake: Lake, fold: Fold, state: State, findings: Findings, whole: Whole | None) -> None:
    """Nothing is lost or counted twice: the sums of all rows are those of all events, whatever the sample."""
    events, rows = rows_at(lake, EVENTS.name, state.folded), rows_at(lake, fold.name, state.version)
    if whole is not None and whole.is_by_event:
        events, rows = events.where(whole.of_stored()), rows.where(whole.of_stored())
    if not any(isinstance(measure, Sum) for measure in fold.measures):
        return
    by_events = totals(events, fold).collect()
    names = [row["measure"] for row in by_events]
    stored = rows.agg(*[F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in names]).first()
    assert stored is not None
    found = {
        row["measure"]: Total(stored=stored[row["measure"]], expected=row["taken"], rest=row["rest"], lost=row["lost"])
        for row in by_events
    }
    # Which of the events are of a session that is whole, only its rows tell, and those have been compared.
    is_known = whole is None or whole.is_by_event
    if is_known:
        findings.totals[fold.name] = found
    for name, total in found.items():
        if total.lost:
            findings.differences.append(
                Difference(
                    table=fold.name,
                    key="sum with the events that make no row and should",
                    column=name,
                    stored=f"{total.stored:,}",
                    expected=f"{total.stored + total.lost:,}",
                )
            )
        # Where rows differ, the sums do for that reason.
        if is_known and total.stored != total.expected and not findings.different[fold.name]:
            findings.differences.append(
                Difference(
                    table=fold.name,
                    key="sum of all rows",
                    column=name,
                    stored=f"{total.stored:,}",
                    expected=f"{total.expected:,}",
                )
            )


def _different_pairs(stored: DataFrame, expected: DataFrame, by: Sequence[str], columns: Sequence[str]) -> DataFrame:
    """Rows that are on one side only or differ: ``key``, and ``columns`` with name, stored and expected text.

    A row that is there twice meets its one partner twice, so rows are numbered first; the second has none.
    """
    numbered = [side.groupBy(*columns).count().alias(name) for side, name in ((stored, "s"), (expected, "e"))]
    same = [F.col(f"s.{name}").eqNullSafe(F.col(f"e.{name}")) for name in by]
    pairs = numbered[0].join(numbered[1], same, "full_outer")
    one_side = F.col("s.count").isNull() | F.col("e.count").isNull()
    whole_row = F.struct(
        F.lit("").alias("name"), _rows(F.col("s.count")).alias("stored"), _rows(F.col("e.count")).alias("expected")
    )
    each = [F.when(~F.col(f"s.{n}").eqNullSafe(F.col(f"e.{n}")), _both(n)) for n in columns if n not in by]
    counts = F.when(~F.col("s.count").eqNullSafe(F.col("e.count")), whole_row)
    found = F.when(one_side, F.array(whole_row)).otherwise(F.array_compact(F.array(*each, counts)))
    key = F.to_json(F.struct(*[F.coalesce(f"s.{name}", f"e.{name}").alias(name) for name in by]))
    return pairs.select(key.alias("key"), found.alias("columns")).where(F.size("columns") > 0)


def _both(name: str) -> Column:
    stored, expected = (F.to_json(F.struct(F.col(f"{side}.{name}").alias(name))) for side in "se")
    return F.struct(F.lit(name).alias("name"), stored.alias("stored"), expected.alias("expected"))


def _rows(count: Column) -> Column:
    return F.concat(F.coalesce(count, F.lit(0)).cast("string"), F.lit(" rows"))


def _is_in(sample: float, key: Sequence[str]) -> Column:
    return F.pmod(F.xxhash64(*key), F.lit(_SHARES)) < round(sample * _SHARES)


def _said_of(table: str, findings: Findings) -> str:
    late = findings.lateness(table)
    since = f" since {findings.whole_since[table]}" if table in findings.whole_since else ""
    return f"{findings.rows[table]:,} rows{since}, {findings.different[table]:,} differ{f'; {late}' if late else ''}"
