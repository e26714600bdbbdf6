"""The program of one generating process: reads which groups to write, answers one line of JSON per group."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from .bucket import write_group
from .groups import Plan


def main() -> None:
    """Write the groups named on standard input."""
    job = json.loads(sys.stdin.read())
    plan = Plan(**job["plan"])
    for group in job["groups"]:
        sys.stdout.write(json.dumps(asdict(write_group(plan, group))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
