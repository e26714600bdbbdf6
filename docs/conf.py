"""How Sphinx makes the site of these pages: `make docs`, into build/site.

The pages are those that the repository shows, with the links that work there; what only a site has is added here: its
contents, and the reference of the API from its docstrings.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from parsely_spark import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "parsely_spark"
author = "the authors of parsely_spark"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
root_doc = "README"
include_patterns = ["*.md", "conf/README.md", "docs/**.md"]
exclude_patterns = [".*", "build", "dist", "parsely_spark", "tests", "benchmarks", "**/node_modules"]

myst_heading_anchors = 4  # what the links of the pages point to, as the repository's own viewer makes them
autodoc_member_order = "bysource"
autodoc_typehints = "description"
copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"

html_theme = "furo"
html_static_path = ["site"]
html_css_files = ["site.css"]
html_title = f"{project} {release}"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"footer_icons": [], "top_of_page_buttons": []}

# Captions and pages of the sidebar, in the order of somebody who begins.
CONTENTS = {
    "Begin": ["docs/samples", "docs/python", "docs/notebooks", "docs/report"],
    "Run": ["docs/spark-submit", "conf/README", "docs/s3", "docs/stream", "docs/doctor", "docs/settings"],
    "Look after": ["docs/operations", "docs/maintain", "docs/privacy", "docs/upgrading"],
    "Data": ["docs/tables", "docs/events", "docs/migrating"],
    "Inside": ["docs/architecture", "docs/performance", "docs/decisions/README", "CONTRIBUTING", "CHANGELOG"],
}
# Pages that lie below another one.
BELOW = {"docs/tables": "docs/tables/*", "docs/decisions/README": "docs/decisions/0*"}
API = """

## Reference

```{eval-rst}
.. autofunction:: parsely_spark.api.open_lake

.. autoclass:: parsely_spark.api.OpenLake()
   :members:
```
"""


def _add_what_a_site_has(app: Sphinx, page: str, source: list[str]) -> None:
    if page == root_doc:
        source[0] += "".join(_contents(pages, f":caption: {caption}\n") for caption, pages in CONTENTS.items())
    if page in BELOW:
        source[0] += _contents([BELOW[page]], ":glob:\n")
    if page == "docs/python":
        source[0] += API


def _contents(pages: list[str], option: str) -> str:
    listed = "\n".join(f"/{page}" for page in pages)
    return f"\n\n```{{toctree}}\n:hidden:\n:maxdepth: 1\n{option}\n{listed}\n```\n"


def _begin_with_the_readme(app: Sphinx, error: Exception | None) -> None:
    """A site is opened at index.html; links between pages are relative, so a copy of the page will do."""
    if error is None:
        shutil.copy(Path(app.outdir) / f"{root_doc}.html", Path(app.outdir) / "index.html")


def setup(app: Sphinx) -> None:
    """Called by Sphinx when it begins."""
    app.connect("source-read", _add_what_a_site_has)
    app.connect("build-finished", _begin_with_the_readme)
