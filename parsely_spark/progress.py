"""Says what goes on: a bar on a terminal, plain lines in a log. All of it on standard error."""

from __future__ import annotations

import os
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
_TELL_EVERY_S = 10.0  # what goes on for days must not fill a log
_NAME_WIDTH = 14
_NO_TASKS = "{desc} [{elapsed}]"  # between two stages, or while the driver works alone
_LIVE = "[{elapsed}] {desc}{bar:0}"  # a bar of no width, because only what has one is cut to the terminal
_TASKS = _NO_TASKS + " {n_fmt}/{total_fmt} tasks {bar:30}"  # on a narrow terminal the bar is what is cut


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
        self._is_terminal = _can_redraw() if is_terminal is None else is_terminal

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Show *name* while the work in the block goes on, then how long it took and its outcome."""
        step = Step(name)
        start = time.monotonic()
        with self._bar(name):
            yield step
        self._say_done(name, start, step.outcome)

    @contextmanager
    def count(self, name: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """Show how much of *total* is done; the block is given a function that adds to it."""
        start = time.monotonic()
        done = 0
        with tqdm(
            total=total,
            desc=f"{name:<{_NAME_WIDTH}}",
            unit=f" {unit}",
            disable=not self._is_terminal,
            leave=False,
            dynamic_ncols=True,
        ) as bar:

            def add(more: int) -> None:
                nonlocal done
                done += more
                bar.update(more)

            yield add
        self._say_done(name, start, f"{done:,} {unit}")

    @contextmanager
    def live(self, name: str, said: Callable[[], str]) -> Iterator[None]:
        """Show what is *said* of work that has no end of its own, while the block goes on and once when it is over.

        On a terminal it is one line that is drawn again and again; a log has a line now and then, when it has changed.

        Args:
            name: of the work.
            said: how it goes by now; not each answer is shown, so it tells totals.
        """
        over = threading.Event()
        told = ""

        def tell() -> None:
            nonlocal told
            if (now := said()) != told:
                told = now
                self.say(f"{name:<{_NAME_WIDTH}} {now}")

        def show() -> None:
            if self._is_terminal:
                _draw(name, said, over)
            else:
                while not over.wait(_TELL_EVERY_S):
                    tell()

        shows = threading.Thread(target=show, daemon=True)
        shows.start()
        try:
            yield
        finally:
            over.set()
            shows.join()
            tell()

    def say(self, line: str) -> None:
        """Print one line, above the bar if there is one, with the time of day where it goes to a log."""
        stamp = "" if self._is_terminal else time.strftime("%H:%M:%SZ ", time.gmtime())
        if sys.stderr is not None:  # as it is when the caller has closed it
            tqdm.write(f"{stamp}{line.rstrip()}", file=sys.stderr)
            sys.stderr.flush()

    def _say_done(self, name: str, start: float, outcome: str) -> None:
        # What came of it has no set length, so it stands last, and on one line whatever it says.
        self.say(f"{name:<{_NAME_WIDTH}} {time.monotonic() - start:7.1f} s  {' '.join(outcome.split())}")

    @contextmanager
    def _bar(self, name: str) -> Iterator[None]:
        if self._tasks is None or not self._is_terminal:
            yield
            return
        over = threading.Event()
        painter = threading.Thread(target=_paint, args=(name, self._tasks, over), daemon=True)
        painter.start()
        try:
            yield
        finally:
            over.set()
            painter.join()


def _can_redraw() -> bool:
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _paint(name: str, tasks: Tasks, over: threading.Event) -> None:
    """Draw how many tasks are done until the step is *over*; a short step is not worth a bar."""
    if over.wait(_REFRESH_S):
        return
    with tqdm(
        desc=f"{name:<{_NAME_WIDTH}}", bar_format=_NO_TASKS, leave=False, file=sys.stderr, dynamic_ncols=True
    ) as bar:
        while True:
            try:
                bar.n, bar.total = tasks()
            except Exception:  # what is wrong with Spark, the step meets as well, and there it is said
                return
            bar.bar_format = _TASKS if bar.total else _NO_TASKS
            bar.refresh()
            if over.wait(_REFRESH_S):
                return


def _draw(name: str, said: Callable[[], str], over: threading.Event) -> None:
    """Draw what is *said* until it is *over*."""
    with tqdm(desc=said(), bar_format=f"{name} {_LIVE}", leave=False, file=sys.stderr, dynamic_ncols=True) as bar:
        while not over.wait(_REFRESH_S):
            bar.set_description_str(said())
