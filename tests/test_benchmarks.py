"""What `make bench` makes of what it measured; it measures nothing here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import page
from benchmarks.__main__ import MEASURED
from benchmarks.cases import GROUPS, all_cases, chosen
from benchmarks.results import Result, load
from benchmarks.targets import TARGETS, lines, ratio

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MEDIANS = {
    "batch-1m": {"wall_s": 50.0, "process_mib": 3000.0},
    "three-1m": {"wall_s": 44.0, "process_mib": 3000.0},
    "duckdb-window-1m": {"wall_s": 40.0, "process_mib": 9000.0},
    "duckdb-rowid-1m": {"wall_s": 25.0, "process_mib": 9000.0},
    "duckdb-direct-4m": {"wall_s": 1.0, "process_mib": 9000.0},
    "plain-1m": {"wall_s": 80.0, "process_mib": 4000.0},
    "executors-1": {"wall_s": 180.0, "process_mib": 2000.0},
    "executors-2": {"wall_s": 100.0, "process_mib": 2000.0},
}


def test_the_best_formulation_of_the_same_size_is_compared_with() -> None:
    assert ratio("batch-1m", "duckdb-1m")(MEDIANS) == 2.0
    assert ratio("batch-1m", "duckdb-2m")(MEDIANS) is None


def test_each_measured_target_is_a_line_that_says_whether_it_holds() -> None:
    said, all_hold = lines(MEDIANS)
    assert said == [
        "1 M events, all tables, to the best of DuckDB: 2.00 x (≤ 2 x, aim 1 x): ok",
        "1 M events, three tables, to Spark as in tutorials: 0.55 x (≤ 0.5 x): MISSED",
        "two executors, to one: 1.80 x (≥ 1.7 x): ok",
    ]
    assert not all_hold
    assert lines({name: took for name, took in MEDIANS.items() if name != "three-1m"})[1]


def test_every_case_is_in_a_group_and_every_target_is_of_cases() -> None:
    names = [case.name for case in all_cases()]
    assert len(set(names)) == len(names)
    assert sorted(case.name for cases in chosen([], []).values() for case in cases) == sorted(names)
    assert {case.group for case in all_cases()} == set(GROUPS)
    measured = {name: {"wall_s": 1.0, "process_mib": 1.0} for name in names}
    assert all(target.value(measured) is not None for target in TARGETS)


def test_the_page_keeps_what_was_written_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = tmp_path / "performance.md"
    written.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    monkeypatch.setattr(page, "PAGE", written)
    monkeypatch.setattr(page, "CHART", tmp_path / "performance.svg")
    numbers = {"wall_s": 50.0, "cpu_s": 90.0, "tree_mib": 3000.0, "process_mib": 2900.0, "events_s": 30.0}
    result = Result(case="batch-1m", commit="abc", machine="2 cores", runs=[numbers])
    page.write_page({"batch-1m": result})
    text = written.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{page.END}\nafter\n")
    assert "old" not in text
    assert "| parsely-spark batch | all tables | 50.0 |" in text
    assert "<svg" in (tmp_path / "performance.svg").read_text()
    page.write_page({"batch-1m": result})
    assert written.read_text() == text


def test_the_page_shows_what_was_measured() -> None:
    results = load(MEASURED)
    assert page.generated(results) in page.PAGE.read_text()
