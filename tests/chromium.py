"""A real Chromium without a window, asked through its own pipe: no driver and no package stand in between.

With ``--remote-debugging-pipe`` it reads commands of the DevTools protocol from descriptor 3 and writes answers and
events to descriptor 4, each a JSON text that ends with a zero byte.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
END_S = 60
# Nothing that it does of its own accord; without a sandbox, because root may have none.
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"),
    *("--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--hide-scrollbars"),
)


def find_chromium() -> str:
    """The program; where there is none the test is skipped, but not in CI, where one has to be."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        reason = f"no Chromium on the PATH ({', '.join(NAMES)}); `sh tools/chromium.sh` installs Debian's"
        (pytest.fail if os.environ.get("CI", "").lower() in ("1", "true") else pytest.skip)(reason)
    return found


@dataclass
class Page:
    """A page, and all that it did beside being there.

    Attributes:
        requests: addresses that it asked for, itself first.
        said: complaints and other lines of its console.
        dialogs: texts of windows that it opened.
    """

    ask: Any
    requests: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def hear(self, event: dict[str, Any]) -> None:
        """Note what an *event* tells."""
        told = event.get("params", {})
        match event["method"]:
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Runtime.consoleAPICalled":
                self.said.append(json.dumps(told["args"]))
            case "Runtime.exceptionThrown":
                self.said.append(told["exceptionDetails"]["text"])
            case "Log.entryAdded":
                self.said.append(told["entry"]["text"])
            case "Page.javascriptDialogOpening":
                self.dialogs.append(told["message"])

    def open(self, file: Path) -> None:
        """Show a *file* from the disk, and wait until it is there."""
        self.ask("Page.navigate", url=file.as_uri())
        end = time.monotonic() + END_S
        while self.tell("document.readyState + location.protocol") != "completefile:":
            assert time.monotonic() < end, f"{file} was not there within {END_S} s"
            time.sleep(0.05)

    def tell(self, expression: str) -> Any:
        """The value of an *expression* of JavaScript; it is asked from outside, whatever the page forbids itself."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def look(self, *, width: int, height: int = 900, scheme: str = "light", medium: str = "screen") -> None:
        """See it as on a screen of *width* and *height* (CSS px), in the light or dark *scheme*."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.ask(
            "Emulation.setEmulatedMedia", media=medium, features=[{"name": "prefers-color-scheme", "value": scheme}]
        )


@contextmanager
def chromium_page() -> Iterator[Page]:
    """A Chromium with one empty page, for as long as the block."""
    program = find_chromium()
    reading, to_browser = os.pipe()
    from_browser, writing = os.pipe()

    def place() -> None:  # in the child: both ends to where it looks for them, by way of free numbers
        os.dup2(os.dup(reading), 100)
        os.dup2(os.dup(writing), 101)
        os.dup2(100, 3)
        os.dup2(101, 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(3, 4),
            preexec_fn=place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reading)
        os.close(writing)
        try:
            with os.fdopen(to_browser, "wb", buffering=0) as out, os.fdopen(from_browser, "rb") as back:
                yield _first_page(_Pipe(out, back))
        finally:
            process.kill()
            process.wait()


class _Pipe:
    """Commands there and answers back, one after the other; events go to who listens."""

    def __init__(self, out: Any, back: Any) -> None:
        self._out, self._back, self._number = out, back, 0
        self.listener: Page | None = None

    def ask(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._number += 1
        command = {"id": self._number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        self._out.write(json.dumps(command).encode() + b"\0")
        while True:
            answer = json.loads(self._next())
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                result: dict[str, Any] = answer["result"]
                return result
            if "method" in answer and self.listener is not None:
                self.listener.hear(answer)

    def _next(self) -> bytes:
        said = bytearray()
        while (byte := self._back.read(1)) != b"\0":
            assert byte, "Chromium has ended"
            said += byte
        return bytes(said)


def _first_page(pipe: _Pipe) -> Page:
    target = pipe.ask("Target.createTarget", url="about:blank")["targetId"]
    session = pipe.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    page = Page(lambda method, **params: pipe.ask(method, session, **params))
    pipe.listener = page
    for domain in ("Page", "Network", "Runtime", "Log"):
        page.ask(f"{domain}.enable")
    return page
