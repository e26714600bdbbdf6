"""Runs a command and tells what it took: it, all that it started, from the first instruction to the last exit."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SAMPLE_S = 0.2
_LINGER_S = 20.0  # for what a command leaves behind, as Python does Spark's JVM, to end by itself
_PR_SET_CHILD_SUBREAPER = 36
_KIB_PER_PAGE = os.sysconf("SC_PAGE_SIZE") // 1024


class FailedCommand(Exception):
    """A command ended with something else than 0."""


@dataclass
class Run:
    """What one run took.

    Attributes:
        wall_s: until the command itself had ended.
        cpu_s: of all its processes, until the last of them had ended.
        tree_mib: peak of the resident memory of all its processes together, sampled; what they share counts twice.
        process_mib: peak of the resident memory of the largest of them, as the kernel keeps it.
        said: lines of its standard error, each with the seconds from the start.
        output: lines of its standard output.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    tree_mib: float = 0.0
    process_mib: float = 0.0
    said: list[tuple[float, str]] = field(default_factory=list)
    output: list[str] = field(default_factory=list)

    @property
    def events_s(self) -> float | None:
        """When it said last that `events` was done."""
        is_events = re.compile(r"(\d\d:\d\d:\d\dZ )?events\b")
        return max((seconds for seconds, line in self.said if is_events.match(line)), default=None)


def measure(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str] | None = None) -> Run:
    """Run *command* in a session of its own and wait for all of it.

    Raises:
        FailedCommand: if it ends with another code than 0; the message has the last lines that it said.
    """
    _adopt_orphans()
    _reap(Run())  # orphans of what was started otherwise
    os.sync()  # what the last one left to be written is not this one's to wait for
    run = Run()
    began = time.monotonic()
    process = subprocess.Popen(
        list(command),
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    readers = [
        threading.Thread(target=_read, args=(process.stdout, began, run.output, None), daemon=True),
        threading.Thread(target=_read, args=(process.stderr, began, None, run.said), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        code = _follow(process.pid, began, run)
    finally:
        give_up = time.monotonic() + _LINGER_S  # on one that has made itself a session of its own
        while _has_children() and time.monotonic() < give_up:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.02)
            _reap(run)
    process.returncode = code  # it has been waited for here, not by Popen
    for reader in readers:
        reader.join(_LINGER_S)
    if code:
        told = "\n".join(line for _, line in run.said[-20:])
        raise FailedCommand(f"`{' '.join(command)}` ended with {code}:\n{told}")
    return run


def _adopt_orphans() -> None:
    """Become the parent of what a child leaves behind, so that its processor time is told to this process."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _read(stream: object, began: float, output: list[str] | None, said: list[tuple[float, str]] | None) -> None:
    for line in stream:  # type: ignore[attr-defined]  # IO[str], or None as Popen's types have it
        if output is not None:
            output.append(line.rstrip())
        if said is not None:
            said.append((time.monotonic() - began, line.rstrip()))


def _follow(leader: int, began: float, run: Run) -> int:
    """Sample until the *leader* has ended and nothing of its session is left, or that lingers; give its code."""
    code: int | None = None
    ended = began
    while code is None or time.monotonic() - ended < _LINGER_S:
        run.tree_mib = max(run.tree_mib, _resident_mib(leader))
        for pid, status in _reap(run):
            if pid == leader:
                ended = time.monotonic()
                run.wall_s = ended - began
                code = os.waitstatus_to_exitcode(status)
        # Not those that /proc shows: a JVM whose threads are still ending is a zombie there, and took nothing yet.
        if code is not None and not _has_children():
            break
        # Short at first: a command may take less than a sample.
        time.sleep(min(_SAMPLE_S, 0.01 + (time.monotonic() - began) / 50) if code is None else 0.02)
    return code if code is not None else -1


def _reap(run: Run) -> list[tuple[int, int]]:
    """Take in the children that have ended, with what they and their own children took."""
    ended = []
    with suppress(ChildProcessError):
        while True:
            pid, status, took = os.wait4(-1, os.WNOHANG)
            if not pid:
                break
            run.cpu_s += took.ru_utime + took.ru_stime
            run.process_mib = max(run.process_mib, took.ru_maxrss / 1024)
            ended.append((pid, status))
    return ended


def _has_children() -> bool:
    """Whether there is a child or an orphan that has not been taken in."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _members(leader: int) -> list[int]:
    """Resident pages of each process of the *leader*'s session that has not ended."""
    pages = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with suppress(OSError):
            # The name in parentheses may have anything in it; state, parent, group and session follow.
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                pages.append(int(fields[21]))
    return pages


def _resident_mib(leader: int) -> float:
    return sum(_members(leader)) * _KIB_PER_PAGE / 1024
