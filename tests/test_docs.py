"""What the pages show works as shown."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from parsely_spark.cli import understand
from parsely_spark.pipelines import verify
from parsely_spark.pipelines.batch import Limits, run_batch
from parsely_spark.progress import Progress
from parsely_spark.reporting import ReportingSettings
from parsely_spark.schema import EVENT_FIELDS
from parsely_spark.tables import catalog, folds, write
from parsely_spark.tables.catalog import TABLES, Lake
from parsely_spark.tables.spec import of_fold
from parsely_spark.tables.views import VIEWS
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parent.parent
QUIET = Progress(is_terminal=False)


def python_of(page: str) -> str:
    """The Python that a page shows, as one program."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S))


def test_a_table_is_added_by_the_declaration_that_contributing_shows(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """batch makes and fills it, and verify agrees with every row of it."""
    shown: dict[str, Any] = {}
    exec(python_of("CONTRIBUTING.md"), shown)
    fold = shown["COUNTRY_HOURS"]
    for module in (folds, write):
        monkeypatch.setattr(module, "FOLDS", (*folds.FOLDS, fold))
    monkeypatch.setattr(folds, "all_folds", lambda depths: folds.FOLDS)
    for tables in (catalog.TABLES, catalog.ALL_TABLES):
        monkeypatch.setitem(tables, fold.name, of_fold(fold))
    generate(tmp_path / "bucket", events=1000, hours=4, seed=8)
    lake = Lake(spark, str(tmp_path / "lake"))
    for begin, end in (("2026/01/14/02", None), (None, "2026/01/14/02")):
        run_batch(lake, [f"file:{tmp_path}/bucket"], QUIET, Limits(begin=begin, end=end, tables=(fold.name,)))
    by_country = lake.read(fold.name).groupBy("apikey", "country").agg(F.sum("pageviews").alias("n")).collect()
    views = lake.read("events").where("ip_country is not null")
    counted = views.groupBy("apikey", "ip_country").agg(F.count_if(F.col("action") == "pageview").alias("n")).collect()
    assert sorted(map(tuple, by_country)) == sorted(map(tuple, counted))
    findings = verify.run_verify(lake, QUIET, tables=(fold.name,))
    assert findings.is_right
    assert findings.rows[fold.name] > 20


def test_what_the_migration_page_names_is_there() -> None:
    """Every name in the column about this package is a table, a view, a column, a field or a setting."""
    known = {*TABLES, *VIEWS, *(field.name for field in EVENT_FIELDS), *ReportingSettings.__dataclass_fields__}
    for spec in (*TABLES.values(), *VIEWS.values()):
        known |= {column.name for column in spec.columns}
    values = {"skim", "deep", "read", "watch", "new", "returning", "gone", "as_of", "try_divide"}
    page = (ROOT / "docs/migrating.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| ") and "---" not in line]
    named = {name for row in rows for name in re.findall(r"`(\w+)\b[^`]*`", row[2])}
    assert named - known - values == {"utm_"}
    assert len(named) > 60


def commands_of(page: str) -> list[list[str]]:
    """The commands that a page shows, each as its words."""
    shown = "".join(re.findall(r"^```console\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S))
    return [shlex.split(line[2:]) for line in shown.replace("\\\n", " ").splitlines() if line.startswith("$ ")]


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))])
def test_what_a_page_says_to_type_is_taken(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the command line, by make, or by the files of conf/ that another tool is given."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    shutil.copy(ROOT / "conf/parsely.toml", tmp_path)  # as its first lines say
    monkeypatch.chdir(tmp_path)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    folder = ROOT
    for words in commands_of(page):
        program, *rest = words
        if program == "make":
            assert targets.issuperset(rest)
        elif program == "cd":
            folder = ROOT / rest[0]
            assert folder.is_dir()
        elif program == "databricks":
            assert (folder / "databricks.yml").exists()
        elif program == "aws" and rest[0] != "s3":
            (file,) = [word.removeprefix("file://") for word in rest if word.startswith("file://")]
            assert (ROOT / file).exists()
        elif program == "spark-submit":
            job = next(index for index, word in enumerate(rest) if word.startswith("jobs/"))
            assert (ROOT / rest[job]).exists()
            understand([Path(rest[job]).stem, *rest[job + 1 :]])
        elif program.rpartition("/")[2] == "parsely-spark":
            understand(rest[: rest.index("|")] if "|" in rest else rest)
        else:
            assert program.rpartition("/")[2] in ("aws", "jupyter", "kubectl", "pip", "python", "sh"), words


def test_the_site_is_made_without_a_complaint_and_asks_the_network_for_nothing(tmp_path: Path) -> None:
    """Every page is there, and every link between them leads somewhere: Sphinx complains otherwise."""
    words = [
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-c",
        "docs",
        "-d",
        str(tmp_path / "trees"),
        ".",
        str(tmp_path / "site"),
    ]
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    pages = [*ROOT.glob("*.md"), ROOT / "conf/README.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        made = (tmp_path / "site" / page.relative_to(ROOT)).with_suffix(".html").read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)\b[^>]*\bsrc=\"([^\"]*)|<link\b[^>]*\bhref=\"([^\"]*)", made)
        assert len(loaded) > 5
        assert [uri for found in loaded for uri in found if re.match(r"(?:https?:)?//", uri)] == []
    sessions = (tmp_path / "site/docs/tables/sessions.html").read_text(encoding="utf-8")
    assert "seconds of engagement" in sessions.lower()
    assert "OpenLake" in (tmp_path / "site/docs/python.html").read_text(encoding="utf-8")
    assert (tmp_path / "site/index.html").exists()


def test_the_api_is_imported_without_spark() -> None:
    """The API is there; pyspark is only asked for when a lake is opened."""
    code = "from parsely_spark.api import open_lake; import sys; print('pyspark' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
