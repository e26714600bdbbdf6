"""Fail for every module of the package over 300 lines that does not say why it is one module.

Such a module says it in a line of its own: `# over 300 lines: the reason`.
"""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "parsely_spark"
LIMIT = 300
REASON = f"# over {LIMIT} lines: "


def main() -> None:
    """Exit 1 after naming each module that is too long."""
    too_long = False
    for module in sorted(PACKAGE.rglob("*.py")):
        lines = module.read_text(encoding="utf-8").splitlines()
        if len(lines) > LIMIT and not any(line.startswith(REASON) for line in lines):
            too_long = True
            print(
                f"{module.relative_to(PACKAGE.parent)}: {len(lines)} lines, wanted at most {LIMIT}; is there "
                f"a second module inside? If not, state the reason in a line that starts with {REASON!r}."
            )
    sys.exit(too_long)


if __name__ == "__main__":
    main()
