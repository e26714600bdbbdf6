"""Spread the groups of a plan over processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict
from tempfile import TemporaryFile
from typing import IO

from .bucket import Written, write_group
from .groups import Plan


def write_groups(plan: Plan, workers: int) -> Iterator[Written]:
    """Write all groups of *plan*, giving what was written as each group ends."""
    workers = min(workers, plan.groups)
    if workers == 1 or not sys.executable:
        for group in range(plan.groups):
            yield write_group(plan, group)
    else:
        yield from _write_in_processes(plan, workers)


def _write_in_processes(plan: Plan, workers: int) -> Iterator[Written]:
    # Not multiprocessing: to fork a program with threads (Spark's driver has many) can deadlock, and to spawn
    # runs its main module again, which fails in scripts without a __main__ guard. A child does neither.
    children: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []
    with ExitStack() as stack:
        read_end, write_end = os.pipe()
        results = stack.enter_context(os.fdopen(read_end))
        with os.fdopen(write_end, "wb") as stdout:
            for worker in range(workers):
                stderr: IO[bytes] = stack.enter_context(TemporaryFile())
                child = _start(plan, range(worker, plan.groups, workers), stdout, stderr)
                stack.callback(_end, child)
                children.append((child, stderr))
        # Each result is one short line, so that lines of several writers do not mix in the pipe.
        for line in results:
            yield Written(**json.loads(line))
        for child, stderr in children:
            _check(child, stderr)


def _start(plan: Plan, groups: range, stdout: IO[bytes], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    job = json.dumps({"plan": asdict(plan), "groups": list(groups)})
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    command = [sys.executable, "-P", "-m", f"{__package__}.child"]
    child = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr)
    assert child.stdin is not None
    # A child that is gone before it reads is reported by its exit code.
    with suppress(BrokenPipeError), child.stdin as stdin:
        stdin.write(job.encode())
    return child


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()


def _check(child: subprocess.Popen[bytes], stderr: IO[bytes]) -> None:
    if child.wait() != 0:
        stderr.seek(0)
        said = stderr.read().decode(errors="replace").strip()
        raise RuntimeError(
            f"A process that generates events ended with code {child.returncode}: the output is incomplete. "
            f"Delete it and try again, with workers=1 to see the error here. The process said: {said[-2000:]}"
        )
