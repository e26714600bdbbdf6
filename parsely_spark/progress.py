"""Says what goes on: a bar on a terminal, plain lines in a log. All of it on standard error."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tasks = Callable[[], tuple[int, int]]  # how many tasks of how many are done at the moment

_REFRESH_S = 0.5


class Step:
    """One named piece of work; `note` says what came of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.outcome = ""

    def note(self, outcome: str) -> None:
        """Say *outcome* when the step is over."""
        self.outcome = outcome


class Progress:
    """The steps of a run, in the order in which they happen.

    Args:
        tasks: asks Spark how many tasks are done, of how many; None where nobody can tell.
        is_terminal: whether a bar can be drawn; found out by default.
    """

    def __init__(self, tasks: Tasks | None = None, *, is_terminal: bool | None = None) -> None:
        self._tasks = tasks
        self._is_terminal = sys.stderr.isatty() if is_terminal is None else is_terminal

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Show *name* while the work in the block goes on, then its outcome and how long it took."""
        step = Step(name)
        start = time.monotonic()
        with self._bar(name):
            yield step
        self.say(f"{name:<12} {step.outcome:<52} {time.monotonic() - start:6.1f} s")

    @contextmanager
    def count(self, name: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """Show how much of *total* is done; the block is given a function that adds to it."""
        start = time.monotonic()
        done = 0
        with tqdm(total=total, desc=f"{name:<12}", unit=f" {unit}", disable=not self._is_terminal, leave=False) as bar:

            def add(more: int) -> None:
                nonlocal done
                done += more
                bar.update(more)

            yield add
        self.say(f"{name:<12} {f'{done:,} {unit}':<52} {time.monotonic() - start:6.1f} s")

    def say(self, line: str) -> None:
        """Print one line, with the time of day where it goes to a log."""
        stamp = "" if self._is_terminal else time.strftime("%H:%M:%S ", time.gmtime())
        print(f"{stamp}{line.rstrip()}", file=sys.stderr, flush=True)

    @contextmanager
    def _bar(self, name: str) -> Iterator[None]:
        if self._tasks is None or not self._is_terminal:
            yield
            return
        over = threading.Event()
        painter = threading.Thread(target=self._paint, args=(name, over), daemon=True)
        painter.start()
        try:
            yield
        finally:
            over.set()
            painter.join()

    def _paint(self, name: str, over: threading.Event) -> None:
        layout = "{desc} {bar:30} {n_fmt}/{total_fmt} tasks [{elapsed}]"
        with tqdm(desc=f"{name:<12}", bar_format=layout, leave=False, file=sys.stderr) as bar:
            while not over.wait(_REFRESH_S) and self._tasks is not None:
                bar.n, bar.total = self._tasks()
                bar.refresh()
