"""What a check has found, and how checks are made so that none ends the others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from parsely_spark.errors import ParselySparkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Failures = tuple[type[Exception], ...]

OK, FAILED, NOT_ASKED_FOR, NOT_REACHED = "ok", "failed", "not asked for", "not reached"
_STATE_WIDTH = len(NOT_ASKED_FOR)
_CHECK_WIDTH = len("checkpoint delete")


class Finding(NamedTuple):
    """One line: which check, how it went, and what was found, of a failure with the way out."""

    check: str
    state: str
    said: str

    def __str__(self) -> str:
        return f"{self.state:<{_STATE_WIDTH}}  {self.check:<{_CHECK_WIDTH}}  {self.said}"


class Step(NamedTuple):
    """A check among others of the same place.

    Attributes:
        check: its name.
        look: says what was found, or raises.
        action: what AWS calls what it does. A refusal names it, and says nothing about the steps that follow; after
            any other failure, they would fail likewise.
        is_alone: whether the steps that follow can go on whatever comes of it.
    """

    check: str
    look: Callable[[], str]
    action: str = ""
    is_alone: bool = False


class NotReachedError(Exception):
    """A check that another one has to be right for first."""


class NotAskedForError(Exception):
    """A check that is not wanted, or that there is nothing to make of."""


def look(check: str, ask: Callable[[], str], failures: Failures = ()) -> Finding:
    """Make the check that *ask* is; *failures* are what Spark may throw, where it is asked."""
    try:
        return Finding(check, OK, ask())
    except NotReachedError as reason:
        return Finding(check, NOT_REACHED, str(reason))
    except NotAskedForError as reason:
        return Finding(check, NOT_ASKED_FOR, str(reason))
    except ParselySparkError as error:
        return Finding(check, FAILED, str(error))
    except failures as error:
        return Finding(check, FAILED, _in_a_word(error))


def look_in_turn(steps: Iterable[Step], failures: Failures = ()) -> Iterator[Finding]:
    """Make the checks one after the other, as long as that can tell anything."""
    failed = ""
    for step in steps:
        if failed:
            yield Finding(step.check, NOT_REACHED, f"{failed} failed")
            continue
        finding = look(step.check, step.look, failures)
        yield finding
        is_refusal = bool(step.action) and step.action in finding.said
        if finding.state == FAILED and not is_refusal and not step.is_alone:
            failed = step.check


def _in_a_word(error: Exception) -> str:
    """What is not recognized is not shown either: a key could be in it."""
    said = str(error)
    found = re.search(r"^\[([\w.]+)\]", said) or re.search(r"(?m)^: [\w.]*?(\w+(?:Exception|Error))\b", said)
    name = found[1] if found else type(error).__name__
    return f"Spark failed with {name}; --verbose shows what it says of that."
