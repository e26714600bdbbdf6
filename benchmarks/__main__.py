"""How fast the package is, beside what a user would write instead: `python -m benchmarks [--groups ...]`.

Cases of a group take turns, and what counts is the middle of their runs. Results are kept, as files to be committed: a
run of some groups leaves the others as they were, and the page in docs/ has all. The exit code is 0 if what must be
reached is, as far as it was measured in this run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cases import GROUPS, Case, all_cases, chosen
from benchmarks.data import ROOT, Store
from benchmarks.measure import FailedCommand
from benchmarks.page import printed, target_lines, write_page
from benchmarks.results import Result, load, save
from benchmarks.runs import NoPeer, Runner

if TYPE_CHECKING:
    from collections.abc import Sequence

MEASURED = ROOT / "benchmarks/measured"
_FAR_BEHIND = 1.3  # of the best formulation of the same: no further run of this one decides anything
_DISTRIBUTIONS = {
    "duckdb": "duckdb",
    "clickhouse": "chdb",
    "polars_": "polars",
    "plain_spark": "pyspark",
    "floor": "pysimdjson",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is asked for, print and keep it."""
    asked = _asked(argv)
    folder = asked.folder if asked.scale == 1 else asked.folder / f"scale-{asked.scale:g}"
    plan = chosen(asked.groups, asked.cases)
    if asked.list:
        print(_listed(plan))
        return 0
    kept = MEASURED if asked.scale == 1 else folder / "results"
    if not asked.page:
        store = Store(folder, asked.scale)
        runner = Runner(store, python=sys.executable, peers_python=asked.peers_python, keeps_lakes=asked.keep_lakes)
        for cases in plan.values():
            _measure(runner, cases, asked.repeats, kept)
    results = load(kept)
    print(printed([group for group, cases in plan.items() if cases], results))
    if asked.scale == 1:
        write_page(results)
    measured = {case.name: results[case.name] for cases in plan.values() for case in cases if case.name in results}
    _, all_hold = target_lines(measured)
    return 0 if all_hold and not any(result.error for result in measured.values()) else 1


def _asked(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [case.name for case in all_cases()]
    parser.add_argument("--groups", nargs="+", default=[], choices=GROUPS, metavar="GROUP", help="all by default")
    parser.add_argument("--cases", nargs="+", default=[], choices=names, metavar="CASE", help="cases beside the groups")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="runs of each case (default %(default)s)")
    parser.add_argument("--list", action="store_true", help="print groups and cases, and measure nothing")
    parser.add_argument("--page", action="store_true", help="write docs/performance.md again, and measure nothing")
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the events, to try it out; writes no page")
    parser.add_argument("--keep-lakes", action="store_true", help="base lakes may be of another state of the package")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/bench", help="for data and lakes")
    peers = str(ROOT / ".venv-bench/bin/python")
    parser.add_argument("--peers-python", default=peers, metavar="FILE", help="the Python that has the peers")
    return parser.parse_args(argv)


def _listed(plan: dict[str, list[Case]]) -> str:
    lines = []
    for group, cases in plan.items():
        if cases:
            lines.append(f"{group}: {GROUPS[group].title}; some {GROUPS[group].minutes} min")
            lines += [f"    {case.name:<20} {case.title}: {case.does}" for case in cases]
    return "\n".join(lines)


def _measure(runner: Runner, cases: Sequence[Case], repeats: int, kept: Path) -> None:
    """Let *cases* take turns; keep what there is after each turn."""
    for case in cases:
        runner.prepare(case)
    results = {case.name: Result(case=case.name, versions=_versions(runner, case)) for case in cases}
    for turn in range(1, repeats + 1):
        for case in cases:
            result = results[case.name]
            if result.error or _is_far_behind(case, cases, results):
                continue
            try:
                took, result.counts = runner.run(case)
            except (FailedCommand, NoPeer) as error:
                result.error, result.runs = str(error), []
                _say(f"{case.name}: {error}")
            else:
                result.runs.append(took)
                _say(f"{case.name:<20} {turn}/{repeats} {took['wall_s']:7.1f} s")
            save(kept, result)


def _is_far_behind(case: Case, cases: Sequence[Case], results: dict[str, Result]) -> bool:
    same = [results[other.name].runs for other in cases if case.one_of and other.one_of == case.one_of]
    best = min((runs[0]["wall_s"] for runs in same if runs), default=0.0)
    own = results[case.name].runs
    # Only from the second turn on: before, not all of them have run.
    return bool(own) and best > 0 and own[0]["wall_s"] > _FAR_BEHIND * best


def _versions(runner: Runner, case: Case) -> dict[str, str]:
    """The peer's version, as its Python has it."""
    name = _DISTRIBUTIONS.get(case.peer.partition("_")[0]) or _DISTRIBUTIONS.get(case.peer)
    if not name:
        return {}
    python = runner.python if case.peer == "plain_spark" else runner.peers_python
    code = f"import json; from importlib.metadata import version; print(json.dumps({{{name!r}: version({name!r})}}))"
    told = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout
    versions: dict[str, str] = json.loads(told)
    return versions


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
