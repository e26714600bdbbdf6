"""Run the notebooks on the lake of the demo, and write the pictures of ``docs/notebooks.md``.

    python tools/notebooks.py           runs each in ``notebooks/``; ``make demo`` makes the lake
    python tools/notebooks.py NAME ...  runs some, by their names without .ipynb

The last figure of the cell with the tag ``picture`` goes into ``docs/images/notebook-NAME.png``.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure

mpl.use("Agg")  # before pyplot, which would look for a screen

from matplotlib import pyplot as plt

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = tuple(sorted((ROOT / "notebooks").glob("*.ipynb")))
PICTURE = "picture"
DPI = 100


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of a notebook.

    Attributes:
        is_code: whether it is to be run; else it is text.
        source: what it says.
        tags: what it is marked with.
        is_bare: whether it is stored without what came of running it.
    """

    is_code: bool
    source: str
    tags: tuple[str, ...]
    is_bare: bool


def cells_of(notebook: Path) -> list[Cell]:
    """The cells of *notebook*, in order."""
    return [
        Cell(
            is_code=cell["cell_type"] == "code",
            source="".join(cell["source"]),
            tags=tuple(cell["metadata"].get("tags", ())),
            is_bare=not cell.get("outputs") and cell.get("execution_count") is None,
        )
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    ]


def run(notebook: Path, look: Callable[[Cell, list[Figure]], None]) -> dict[str, Any]:
    """Run each code cell of *notebook* in this process, so that a Spark that is warm serves all.

    Args:
        notebook: the file.
        look: is given each cell that was run and its figures, which are closed then, as Jupyter does.

    Returns:
        What the cells have named.
    """
    names: dict[str, Any] = {}
    for cell in cells_of(notebook):
        if cell.is_code:
            exec(compile(cell.source, notebook.name, "exec", dont_inherit=True), names)
            look(cell, [plt.figure(number) for number in plt.get_fignums()])
            plt.close("all")
    return names


def picture_of(notebook: Path) -> Path:
    """Where the picture of *notebook* is."""
    return ROOT / "docs" / "images" / f"notebook-{notebook.stem}.png"


def write_picture(notebook: Path) -> None:
    """Run *notebook* and write its picture."""

    def save(cell: Cell, figures: list[Figure]) -> None:
        if PICTURE in cell.tags:
            # Without the name of what wrote it, the same plot is the same file.
            figures[-1].savefig(picture_of(notebook), dpi=DPI, metadata={"Software": None})

    run(notebook, save)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    known = {notebook.stem: notebook for notebook in NOTEBOOKS}
    parser = argparse.ArgumentParser(
        prog="python tools/notebooks.py", description="Write the pictures of the notebooks."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all by default")
    parser.add_argument(
        "--lake", default=str(ROOT / ".demo" / "lake"), help="the lake of a demo; %(default)s by default"
    )
    asked = parser.parse_args(argv)
    if unknown := [name for name in asked.names if name not in known]:
        parser.error(f"{', '.join(unknown)}: there is no such notebook; there are {', '.join(known)}.")
    if not Path(asked.lake).is_dir():
        parser.error(f"--lake={asked.lake}: there is no such folder; `make demo` makes one.")
    os.environ["PARSELY_SPARK_LAKE"] = os.path.abspath(asked.lake)
    for name in asked.names or known:
        write_picture(known[name])
        picture = picture_of(known[name])
        print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size // 1024} KiB", flush=True)


if __name__ == "__main__":
    main()
