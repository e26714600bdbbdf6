"""Several shards read at the same time by one task: each of them makes its reader wait, by its own rate."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

MOST_AT_ONCE = 8  # each holds up to two pages of up to 10 MiB
_LOOK_S = 0.2

Asked = TypeVar("Asked")
Found = TypeVar("Found")


def read_at_once(asked: Sequence[Asked], read: Callable[[Asked], Iterator[Found]]) -> Generator[Found, None, None]:
    """What *read* finds in each of *asked*, as it comes; for one of them, in its order.

    Raises:
        Exception: what *read* has raised for one of them; the others are left then.
    """
    found: Queue[Found] = Queue(maxsize=MOST_AT_ONCE)
    is_over = threading.Event()

    def work(one: Asked) -> None:
        for item in read(one):
            while not is_over.is_set():
                try:
                    found.put(item, timeout=_LOOK_S)
                except Full:
                    continue
                break
            if is_over.is_set():
                return

    threads = ThreadPoolExecutor(MOST_AT_ONCE)
    try:
        working = [threads.submit(work, one) for one in asked]
        while True:
            # Looked at before the queue: what a thread has put before its end is found in it.
            ended = [one for one in working if one.done()]
            for one in ended:
                one.result()
            try:
                yield found.get(timeout=0 if len(ended) == len(working) else _LOOK_S)
            except Empty:
                if len(ended) == len(working):
                    return
    finally:
        is_over.set()
        # One that waits for its shard ends by itself; nobody waits for it.
        threads.shutdown(wait=False, cancel_futures=True)
