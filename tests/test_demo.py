"""The demo shows what is in the tables, and the notebooks and the Python page run on its lake."""

from __future__ import annotations

import ast
import re
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from test_docs import ROOT, commands_of, python_of

from parsely_spark.api import open_lake
from parsely_spark.cli import main
from parsely_spark.demo import run_demo
from parsely_spark.errors import SettingsError
from parsely_spark.session import running_tasks
from parsely_spark.settings import DemoSettings
from parsely_spark.tables.catalog import ALL_TABLES, Lake
from parsely_spark.tables.ledger import record_run
from parsely_spark.tables.views import VIEWS
from tools.notebooks import NOTEBOOKS, PICTURE, cells_of, picture_of, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure
    from pyspark.sql import DataFrame, SparkSession

    from parsely_spark.api import OpenLake


@pytest.fixture(scope="module")
def demo(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small demo; what it printed is in the file printed.txt."""
    out = tmp_path_factory.mktemp("made") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", lambda *texts, file=None, **_: file or printed.append(" ".join(texts)))
        run_demo(DemoSettings(out=str(out), events=3000, hours=12, seed=2), lambda: spark, running_tasks)
    (out / "printed.txt").write_text("\n".join(printed))
    return out


def test_the_demo_prints_counts_sites_pages_and_sessions(demo: Path) -> None:
    """The numbers of the lines add up, and every table is shown with its rows."""
    printed = (demo / "printed.txt").read_text()
    assert " = 3,000 inserted + " in printed
    for title in ("Tables", "Sites", "Top posts", "Sessions with the most engagement", "What to try next"):
        assert title in printed
    events = next(line for line in printed.splitlines() if line.startswith("events "))
    assert events.split()[-1] == "3,000"
    assert printed.splitlines()[-1] == f"Report: {demo}/report.html"
    assert "<h1>Audience and data health</h1>" in (demo / "report.html").read_text(encoding="utf-8")


def test_the_demo_leaves_a_folder_alone_that_no_demo_made(tmp_path: Path) -> None:
    """It never deletes what somebody else put there."""
    (tmp_path / "precious").touch()
    with pytest.raises(SettingsError, match="no demo made it"):
        run_demo(DemoSettings(out=str(tmp_path)), lambda: pytest.fail("started Spark"), running_tasks)
    assert (tmp_path / "precious").exists()


@pytest.fixture(scope="module")
def followed(spark: SparkSession, demo: Path) -> Path:
    """The lake of the demo, after a stream has noted two batches with records, one without, and a gap."""
    lake, at = Lake(spark, str(demo / "lake")), datetime(2026, 1, 15, 12, tzinfo=UTC)
    counts = {"lines": 900, "inserted": 0, "duplicate": 900, "rejected": 0, "blank": 0}
    later = at + timedelta(seconds=10)
    batches = [(1, at, 600, 6_000, 1_500, 2_000), (2, later, 300, 3_000, 250, 1_200), (3, later, 0, 0, None, 40)]
    gap = ("shardId-000000000000", at - timedelta(hours=2), at - timedelta(hours=1))
    run = {"run_id": "s", "job": "stream", "outcome": "gap", "started_at": at, "ended_at": at, "gaps": [gap]}
    record_run(lake, run | {"batches": batches} | counts)
    return demo / "lake"


def whole(rows: DataFrame) -> int:
    """Rows that are not of bots."""
    return rows.where("not is_bot").count()


# What a notebook has summed up is what the tables hold.
SUMS: dict[str, Callable[[OpenLake, dict[str, Any]], list[tuple[Any, Any]]]] = {
    "tour": lambda lake, of: [
        (of["rows"]["events"], 3000),
        (of["hours"]["pageviews"].sum(), of["lake"].table("events").where("action = 'pageview'").count()),
    ],
    "engaged_time": lambda lake, of: [
        (set(of["totals"]["engaged_s"]), {lake.table("pageviews").agg({"engaged_s": "sum"}).collect()[0][0]}),
        (of["totals"]["pageviews"].nunique(), 1),
    ],
    "sessions_and_sources": lambda lake, of: [
        (of["sources"]["sessions"].sum(), whole(lake.table("sessions"))),
        (round(of["tiers"]["visitors"].sum()), 100),
    ],
    "conversions": lambda lake, of: [
        (of["types"]["conversions"].sum(), whole(lake.table("conversions"))),
        (
            round(of["by_type"][["first_touch", "last_touch", "linear"]].sum().sum()),
            3 * of["ways"]["conversions"].sum(),
        ),
    ],
    "streaming": lambda lake, of: [
        (of["counts"]["pageviews"].sum(), whole(lake.table("events").where("action = 'pageview'"))),
        (sum(batch["numInputRows"] for batch in of["progress"]), 3000),
        (list(of["batches"]["lag_s"]), [0.25, 1.5]),
        (list(of["gaps"]["what"]), ["gap of the stream", "hours listed by batch"]),
    ],
}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_on_the_lake_of_the_demo(
    spark: SparkSession, followed: Path, notebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each plot says what it is and what its axes are, and the sums are those of the tables."""
    monkeypatch.setenv("PARSELY_SPARK_LAKE", str(followed))
    before = spark.catalog.listTables()
    figures: list[Figure] = []
    named = run(notebook, lambda cell, of: figures.extend(of))
    assert len(figures) >= 2
    for figure in figures:
        axes = [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]
        assert figure.get_suptitle() or all(axis.get_title() for axis in axes)
        assert axes[0].get_ylabel(), axes[0].get_title()
        assert axes[-1].get_xlabel(), axes[0].get_title()
    for shown, held in SUMS[notebook.stem](open_lake(followed, spark=spark), named):
        assert shown == held
    assert spark.catalog.listTables() == before


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_bare_and_defines_nothing_and_has_one_picture(notebook: Path) -> None:
    """What it printed would be somebody's data; what it defined would be a rule in a second place."""
    cells = cells_of(notebook)
    code = [cell for cell in cells if cell.is_code]
    assert all(cell.is_bare for cell in cells)
    nodes = [node for cell in code for node in ast.walk(ast.parse(cell.source))]
    assert not [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda))]
    assert code[0] == cells_of(NOTEBOOKS[0])[1]  # they open the lake alike, and look alike
    assert [PICTURE in cell.tags for cell in code].count(True) == 1


def test_the_tour_goes_by_every_table_and_view_with_its_grain() -> None:
    """As far as the grain goes in one clause."""
    told = "\n".join(cell.source for cell in cells_of(NOTEBOOKS[0].with_name("tour.ipynb")) if not cell.is_code)
    headings = set(re.findall(r"^### (.*)", told, re.M))
    specs = (*ALL_TABLES.values(), *VIEWS.values())
    assert headings == {f"`{spec.name}`: {re.split(r'[;:(]', spec.grain)[0].strip()}" for spec in specs}


def test_the_page_about_the_notebooks_shows_a_small_picture_of_each() -> None:
    page = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")
    assert re.findall(r"\(\.\./notebooks/(\w+)\.ipynb\)", page) == re.findall(r"\(images/notebook-(\w+)\.png\)", page)
    assert set(re.findall(r"\(images/notebook-(\w+)\.png\)", page)) == {notebook.stem for notebook in NOTEBOOKS}
    assert all(picture_of(notebook).stat().st_size < 60_000 for notebook in NOTEBOOKS)


def test_the_python_page_runs_as_shown(
    spark: SparkSession, demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the folder where the demo was made."""
    shutil.copytree(demo, tmp_path / ".demo")
    monkeypatch.chdir(tmp_path)
    shown: dict[str, Any] = {"spark": spark}
    exec(python_of("docs/python.md"), shown)
    assert shown["sessions"].count() > 50
    assert shown["visitors"].count() > 50
    assert shown["authors"].count() > 0
    assert shown["events"].columns[-2:] == ["network", "count"]
    assert 0 < shown["visitors_of_a_day"].collect()[0]["visitors"] < 1000
    assert [(r["apikey"], r["_reason"], r["date"]) for r in shown["parsed"].collect()] == [
        ("news.example", None, date(2026, 1, 14))
    ]
    kept = [name for name in shown["post_hours"].columns if name != "visitors_sketch"]
    assert shown["post_hours"].select(kept).exceptAll(shown["lake"].table("post_hours").select(kept)).isEmpty()


def test_the_commands_of_the_readme_run(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those on one's own events, with the bucket and the lake of the demo for one's own."""
    monkeypatch.chdir(tmp_path)
    own = {"s3a://parsely-dw-SITE/events": f"file:{demo}/events", "s3a://BUCKET/lake": str(demo / "lake")}
    typed = [words[1:] for words in commands_of("README.md") if words[0] == "parsely-spark"]
    assert [words[0] for words in typed] == ["batch", "verify", "report"]
    for words in typed:
        assert main([own.get(word, word) for word in words]) == 0
    assert "America/New_York" in (tmp_path / "parsely-report.html").read_text(encoding="utf-8")


def test_the_queries_of_the_operations_page_alert_on_what_a_lake_lacks(spark: SparkSession, demo: Path) -> None:
    """It is well, and no stream was ever heard of; the last query only lists days."""
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    queries = [q for q in re.findall(r"^```sql\n(.*?)^```", page, re.M | re.S) if not q.startswith("DELETE")]
    found = [spark.sql(re.sub(r"main\.parsely\.(\w+)", rf"delta.`{demo}/lake/\1`", q)).collect() for q in queries]
    batch, silent, rejected, broken, stream, days = map(len, found)
    assert (batch, silent, rejected, broken, stream, days) == (0, 0, 0, 0, 1, 1)
