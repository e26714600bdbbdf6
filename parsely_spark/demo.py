"""A day of made-up events through the whole program, shown on the console."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from tabulate import tabulate

from parsely_spark.errors import SettingsError
from parsely_spark.pipelines.batch import Summary, run_batch
from parsely_spark.places import absolute
from parsely_spark.progress import Progress
from parsely_spark.report.period import Asked
from parsely_spark.report.writing import write_report
from parsely_spark.reporting import ReportingSettings
from parsely_spark.tables.catalog import TABLES, Lake
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Column, DataFrame, SparkSession

    from parsely_spark.settings import DemoSettings

_MARK = ".parsely-spark-demo"  # only a folder that a demo made is made anew
_WIDEST = 56


def run_demo(
    settings: DemoSettings,
    open_session: Callable[[], SparkSession],
    running_tasks: Callable[[SparkSession], tuple[int, int]],
) -> None:
    """Generate a bucket, make the tables of it and print what is in them.

    Raises:
        SettingsError: if the folder exists and no demo made it.
    """
    out = _new_folder(Path(settings.out))
    with Progress().count("generate", settings.events, "events") as add:
        generate(out, events=settings.events, hours=settings.hours, seed=settings.seed, on_progress=add)
    with Progress().step("start Spark"):
        spark = open_session()
    lake = Lake(spark, absolute(str(out / "lake")))
    summary = run_batch(lake, [absolute(str(out / "events"))], Progress(lambda: running_tasks(spark)))
    print(f"\n{_accounting(summary)}")
    for title, rows in _views(lake):
        print(f"\n{title}\n{aligned(rows)}")
    everything = Asked(reporting=ReportingSettings(), since=None, until=None, sites=(), now=datetime.now(UTC))
    print(flush=True)
    written = write_report(lake, everything, str(out / "report.html"), Progress(lambda: running_tasks(spark)))
    print(f"\n{_what_next(settings.out)}")
    print(f"\nReport: {written.path}")


def aligned(rows: DataFrame) -> str:
    """The *rows* as aligned text; long texts are cut, numbers grouped."""
    table = [[_shown(value) for value in row] for row in rows.collect()]
    headers = rows.columns
    numeric = ["right" if _is_number(field.dataType.typeName()) else "left" for field in rows.schema.fields]
    return tabulate(table, headers=headers, colalign=numeric, disable_numparse=True, tablefmt="simple")


def _new_folder(out: Path) -> Path:
    if out.exists() and not (out / _MARK).exists():
        raise SettingsError(f"out={out} exists and no demo made it; name a new folder.")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / _MARK).touch()
    return out


def _accounting(summary: Summary) -> str:
    return (
        f"{summary.lines:,} lines = {summary.inserted:,} inserted + {summary.duplicate:,} duplicate "
        f"+ {summary.rejected:,} rejected + {summary.blank:,} blank, in {summary.seconds:.1f} s"
    )


def _views(lake: Lake) -> list[tuple[str, DataFrame]]:
    sessions, pageviews = lake.read("sessions"), lake.read("pageviews")
    counts = [(spec.name, spec.grain, lake.read(spec.name).count()) for spec in TABLES.values()]
    titles = lake.read("posts").where("page_type = 'post'").select("apikey", "post_id", "title")
    posts = (
        pageviews.where("not is_bot")
        .drop("title")
        .join(titles, ["apikey", "post_id"])
        .groupBy("apikey", "title")
        .agg(
            F.sum("pageviews").alias("pageviews"),
            F.sum("engaged_s").alias("engaged_s"),
            F.countDistinct("visitor_site_id").alias("visitors"),
            F.round(100 * F.avg((F.col("read_depth") == "deep").cast("int")), 1).alias("deep_read_percent"),
        )
        .orderBy(F.desc("pageviews"), "title")
    )
    sites = (
        sessions.where("not is_bot")
        .groupBy("apikey")
        .agg(
            F.count("*").alias("sessions"),
            F.countDistinct("visitor_site_id").alias("visitors"),
            F.round(F.avg("pageviews"), 2).alias("pages_per_session"),
            F.round(F.avg("engaged_s"), 1).alias("engaged_s_per_session"),
            F.round(100 * F.avg(F.col("is_bounce").cast("int")), 1).alias("bounce_percent"),
        )
        .orderBy(F.desc("sessions"))
    )
    longest = sessions.where("not is_bot").orderBy(F.desc("engaged_s"), "session_key")
    shown = longest.select(
        F.substring("visitor_site_id", 1, 8).alias("visitor"),
        *(
            "started_at",
            "duration_s",
            "pageviews",
            "engaged_s",
            "conversions",
            "referrer_category",
            "device_type",
        ),
        _short("entry_url").alias("entry_page"),
    )
    return [
        ("Tables", lake.spark.createDataFrame(counts, "table string, grain string, rows bigint")),
        ("Sites", sites),
        ("Top posts", posts.limit(8)),
        ("Sessions with the most engagement", shown.limit(5)),
    ]


def _short(url: str) -> Column:
    return F.regexp_replace(url, r"^https?://(www\.)?", "")


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = str(value)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _is_number(type_name: str) -> bool:
    return type_name in ("integer", "long", "double")


def _what_next(out: str) -> str:
    return f"""What to try next
  .venv/bin/parsely-spark batch --source {out}/events --lake {out}/lake --json   the same again: nothing is new
  .venv/bin/parsely-spark generate --out bucket --events 200000 --seed 7     a bucket of your own
  .venv/bin/parsely-spark batch --source s3a://parsely-dw-SITE/events --lake s3a://BUCKET/lake"""
