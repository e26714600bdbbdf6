"""The demo shows what is in the tables, and the notebook and the Python page run on its lake."""

from __future__ import annotations

import json
import re
import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from test_docs import ROOT, commands_of, python_of

from parsely_spark.cli import main
from parsely_spark.demo import run_demo
from parsely_spark.errors import SettingsError
from parsely_spark.session import running_tasks
from parsely_spark.settings import DemoSettings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


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


@pytest.mark.parametrize("notebook", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_on_the_lake_of_the_demo(
    demo: Path, notebook: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each code cell, in order, as Jupyter would run them."""
    monkeypatch.setenv("PARSELY_SPARK_LAKE", str(demo / "lake"))
    names: dict[str, object] = {}
    for cell in json.loads(notebook.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert "engaged_minutes" in capsys.readouterr().out


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
    own = {"s3a://parsely-dw-SITE/events": f"file:{demo}/bucket", "s3a://BUCKET/lake": str(demo / "lake")}
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
