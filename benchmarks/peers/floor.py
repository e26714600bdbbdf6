"""The floor: igzip and simdjson over every byte of SOURCE, in a process per core, and nothing made of it."""

from __future__ import annotations

import os
import sys
from multiprocessing import Pool
from pathlib import Path

import simdjson
from isal import igzip

from benchmarks.peers.contract import say_counts


def parse(file: Path) -> int:
    """Parse each line of *file*; give how many there are."""
    parser = simdjson.Parser()
    lines = igzip.decompress(file.read_bytes()).splitlines()
    for line in lines:
        parser.parse(line)  # what it gives is let go of at once, as the parser wants it
    return len(lines)


def main() -> None:
    """Parse all, the largest first."""
    files = sorted(Path(sys.argv[1]).rglob("*.gz"), key=lambda file: file.stat().st_size, reverse=True)
    with Pool(os.cpu_count()) as pool:
        say_counts(lines=sum(pool.imap_unordered(parse, files)))


if __name__ == "__main__":
    main()
