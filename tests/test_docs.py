"""What the pages show works as shown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

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
    import pytest
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


def test_the_api_is_imported_without_spark() -> None:
    """The API is there; pyspark is only asked for when a lake is opened."""
    code = "from parsely_spark.api import open_lake; import sys; print('pyspark' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
