"""Claims about what is said while a run goes on: lines in a log, a bar on a terminal."""

from __future__ import annotations

import itertools
import os
import pty
import re
import subprocess
import sys
import termios
import threading

import pytest

from parsely_spark import progress
from parsely_spark.progress import Progress

# A program that says things, with a bar redrawn often enough for a short test and a step that waits for that.
PROGRAM = """
import time
from parsely_spark import progress
progress._REFRESH_S = 0.02
asked = []
def tasks(answer=(3, 10)):
    asked.append(1)
    return answer
def work(times=3):
    began = time.monotonic()
    while len(asked) < times and time.monotonic() < began + 30:
        time.sleep(0.01)
    time.sleep(0.1)
"""


def on_terminal(program: str, *, columns: int = 80, term: str = "xterm") -> str:
    """Run *program* with a terminal as its output and return all that it sent there."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, columns))
    environment = {**os.environ, "TERM": term}
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM + program], stdin=subprocess.DEVNULL, stdout=its, stderr=its, env=environment
    )
    os.close(its)
    sent = b""
    try:
        while more := os.read(ours, 4096):
            sent += more
    except OSError:  # so Linux says that the other end is closed
        pass
    os.close(ours)
    assert child.wait(timeout=60) == 0, sent.decode()
    return sent.decode()


def screen(sent: str, *, columns: int = 80) -> list[str]:
    """The lines that a terminal shows in the end, after every return to the start of a line."""
    rows: list[list[str]] = [[]]
    column = 0
    for character in sent:
        if character == "\r":
            column = 0
        elif character == "\n":
            rows.append([])
            column = 0
        else:
            assert character.isprintable(), f"{character!r} is more than this terminal knows"
            if column == columns:
                rows.append([])
                column = 0
            rows[-1][column:] = [character, *rows[-1][column + 1 :]]
            column += 1
    shown = ["".join(row).rstrip() for row in rows]
    return shown if shown[-1] else shown[:-1]


def without_seconds(lines: list[str]) -> list[str]:
    return [re.sub(r" +\d+\.\d s", " _ s", line) for line in lines]


# In a log


def test_a_log_has_one_plain_line_per_step(capsys: pytest.CaptureFixture[str]):
    progress = Progress(lambda: (1, 2))
    with progress.step("list") as step:
        step.note("3 files")
    with progress.count("generate", 2000, "events") as add:
        add(1500)
        add(500)
    progress.say("and so on  ")
    out, err = capsys.readouterr()
    assert out == ""
    stamped = [re.fullmatch(r"\d\d:\d\d:\d\dZ (.*)", line) for line in err.splitlines()]
    assert [line and line[1] for line in stamped] == [
        "list               0.0 s  3 files",
        "generate           0.0 s  2,000 events",
        "and so on",
    ]


def test_columns_stay_aligned_whatever_a_step_says(capsys: pytest.CaptureFixture[str]):
    progress = Progress(is_terminal=False)
    for name, outcome in (("events", "1,234,567,890 lines: " * 9), ("rejected_lines", "a\nb\tc"), ("sessions", "")):
        with progress.step(name) as step:
            step.note(outcome)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3  # also the long one and the one with a line feed in it
    assert {line.index(".") for line in lines} == {len("00:00:00Z rejected_lines     0")}
    assert lines[0].endswith(("1,234,567,890 lines: " * 9).rstrip())
    assert lines[1].endswith("  a b c")


def test_a_step_that_fails_says_nothing_and_hides_nothing(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(KeyError), Progress(is_terminal=False).step("events"):
        raise KeyError("x")
    assert capsys.readouterr().err == ""


def test_a_log_has_a_line_now_and_then_of_what_goes_on_when_it_has_changed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress, "_TELL_EVERY_S", 0.02)
    answers = ["3 lines", "3 lines", "2 lines", "1 line", "1 line"]
    asked_for_all = threading.Event()

    def said() -> str:
        if len(answers) == 1:
            asked_for_all.set()
        return answers.pop() if len(answers) > 1 else answers[0]

    with Progress(is_terminal=False).live("stream", said):
        assert asked_for_all.wait(30)
    assert [line[10:] for line in capsys.readouterr().err.splitlines()] == [
        "stream         1 line",
        "stream         2 lines",
        "stream         3 lines",
    ]


def test_a_log_has_one_line_of_what_was_soon_over(capsys: pytest.CaptureFixture[str]):
    count = itertools.count()
    with Progress(is_terminal=False).live("stream", lambda: f"{next(count)} lines"):
        pass
    assert [line[10:] for line in capsys.readouterr().err.splitlines()] == ["stream         0 lines"]


def test_a_dumb_terminal_is_written_to_like_a_log():
    sent = on_terminal("with progress.Progress(tasks).step('events'): time.sleep(0.1)", term="dumb")
    assert re.fullmatch(r"\d\d:\d\d:\d\dZ events +\d+\.\d s\r\n", sent)


def test_nobody_listening_is_no_reason_to_fail():
    program = PROGRAM + "with progress.Progress(lambda: (1, 2)).step('events'): pass\nprint('done')"
    done = subprocess.run(["sh", "-c", '"$0" -c "$1" 2>&-', sys.executable, program], capture_output=True, check=True)
    assert done.stdout == b"done\n"


# On a terminal


def test_a_bar_shows_the_tasks_and_is_gone_when_the_step_is_over():
    sent = on_terminal("""
with progress.Progress(tasks).step("events") as step:
    work()
    step.note("12 lines")
""")
    assert re.search(r"events +\[\d\d:\d\d\] 3/10 tasks █", sent)
    assert without_seconds(screen(sent)) == ["events _ s  12 lines"]


def test_between_stages_there_is_no_bar_without_tasks():
    sent = on_terminal("with progress.Progress(lambda: tasks((0, 0))).step('events'): work()")
    assert re.search(r"events +\[\d\d:\d\d\]", sent)
    assert "tasks" not in sent


def test_a_short_step_is_not_worth_a_bar():
    sent = on_terminal("progress._REFRESH_S = 60\nwith progress.Progress(tasks).step('events'): pass")
    assert re.fullmatch(r"events +\d+\.\d s\r\n", sent)


def test_a_count_shows_how_far_it_is_and_is_gone_when_done():
    sent = on_terminal("""
with progress.Progress().count("generate", 400, "events") as add:
    for _ in range(4):
        time.sleep(0.11)
        add(100)
""")
    assert "300/400" in sent
    assert without_seconds(screen(sent)) == ["generate _ s  400 events"]


@pytest.mark.parametrize("columns", [40, 80])
def test_what_goes_on_is_one_line_that_is_drawn_again(columns: int):
    """Lines that are said meanwhile stand above it, and it is never wider than the terminal."""
    sent = on_terminal(
        """
said = []
def goes():
    said.append(1)
    return f"{len(said)} lines, and so on" + " and on" * 20 + "."
shown = progress.Progress()
with shown.live("stream", goes):
    for number in range(3):
        while len(said) < 10 * (number + 1):
            time.sleep(0.01)
        shown.say(f"line {number}")
""",
        columns=columns,
    )
    drawn = [text.strip() for text in re.split(r"[\r\n]+", sent) if "[0" in text]
    assert len(drawn) >= 30
    assert all(re.match(r"stream \[\d\d:\d\d\] \d+ lines, and", text) for text in drawn)
    assert max(map(len, drawn)) <= columns
    *lines, last = screen(sent, columns=10_000)
    assert lines == ["line 0", "line 1", "line 2"]
    assert re.fullmatch(r"stream         \d+ lines, and so on( and on)+\.", last)


def test_a_failure_leaves_the_last_of_what_went_on_above_what_is_told():
    sent = on_terminal("""
try:
    with progress.Progress().live("stream", lambda: "3 lines"):
        time.sleep(0.2)
        raise KeyError("x")
except KeyError:
    print("failed")
""")
    assert "[00:00] 3 lines" in sent
    assert screen(sent) == ["stream         3 lines", "failed"]


@pytest.mark.parametrize("columns", [30, 80])
def test_lines_stay_whole_beside_a_bar(columns: int):
    sent = on_terminal(
        """
said = progress.Progress(tasks)
with said.step("a"):
    work()
    for number in range(40):
        said.say(f"line {number}")
        time.sleep(0.01)
said.say("end")
""",
        columns=columns,
    )
    assert sent.count("[00:0") > 40  # there was a bar, drawn again after every line
    lines = without_seconds(screen(sent, columns=columns))
    assert lines == [*(f"line {number}" for number in range(40)), "a _ s", "end"]


def test_a_bar_that_cannot_learn_the_tasks_goes_and_the_step_goes_on():
    sent = on_terminal("""
def fail_at_last():
    if len(asked) == 3:
        raise ConnectionError("no Spark")
    return tasks()
with progress.Progress(fail_at_last).step("events") as step:
    work()
    step.note(f"asked {len(asked)} times")
""")
    assert "3/10 tasks" in sent
    assert without_seconds(screen(sent)) == ["events _ s  asked 3 times"]


def test_a_failure_clears_the_bar_before_it_is_told():
    sent = on_terminal("""
try:
    with progress.Progress(tasks).step("events"):
        work()
        raise KeyError("x")
except KeyError:
    print("failed")
""")
    assert "3/10 tasks" in sent
    assert screen(sent) == ["failed"]
