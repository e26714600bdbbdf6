"""Turn the wheel in dist/ into dist/parsely_spark-X.zip, for `spark-submit --py-files`.

Executors import from a .zip and not from a .whl, and a cluster need not have what the package depends on: the
zip holds both. The dependencies are copied from .venv, where pip has held them against requirements.lock.
"""

from __future__ import annotations

import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

# The same sources give the same bytes: 1980 is the earliest that a zip can say.
TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def main() -> None:
    """Write the zip beside the one wheel that `make wheel` leaves."""
    (wheel,) = Path("dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as own:
        content = {member: own.read(member) for member in own.namelist()}
    names = dependencies_of("parsely-spark")
    for name in names:
        content |= files_of(name)

    target = wheel.with_name("-".join(wheel.name.split("-")[:2]) + ".zip")
    with zipfile.ZipFile(target, "w") as archive:
        for member, data in sorted(content.items()):
            archive.writestr(zipfile.ZipInfo(member, TIMESTAMP), data, zipfile.ZIP_DEFLATED)
    print(f"{target}: {target.stat().st_size // 1024} KiB, with {', '.join(names)}")


def dependencies_of(package: str) -> list[str]:
    """Name what *package* needs on this platform, without extras, and what that needs in turn."""
    names = [package]
    for name in names:  # grows as it goes
        for needed in map(Requirement, distribution(name).requires or ()):
            wanted = needed.marker is None or needed.marker.evaluate({"extra": ""})
            if wanted and needed.name not in names:
                names.append(needed.name)
    return names[1:]


def files_of(package: str) -> dict[str, bytes]:
    """Read the files of an installed pure Python *package*, by their path in a zip."""
    files = distribution(package).files or ()
    if compiled := [file for file in files if file.suffix == ".so"]:
        sys.exit(f"pyfiles: {package} has {compiled[0].name}, which Python cannot import from a zip.")
    # ".." leads to console scripts, which name this machine's Python; so does the cache of compiled files.
    return {str(f): f.read_binary() for f in files if ".." not in f.parts and f.suffix != ".pyc"}


if __name__ == "__main__":
    main()
