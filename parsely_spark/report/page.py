"""The page: one HTML file that asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING

from parsely_spark import __version__
from parsely_spark.report import wording
from parsely_spark.report.audience_part import audience_part
from parsely_spark.report.blocks import isolated, mark
from parsely_spark.report.elements import Element, h, stylesheet, written
from parsely_spark.report.health_part import health_part
from parsely_spark.report.lake_part import lake_part
from parsely_spark.report.verdicts import checks

if TYPE_CHECKING:
    from parsely_spark.report.elements import Content
    from parsely_spark.report.figures import Figures, Site

TITLE = "Audience and data health"


def page(figures: Figures) -> str:
    """The HTML of *figures*."""
    # A report on one site has no use for the same twice.
    panels = figures.sites if len(figures.sites) == 1 else [figures.all_sites, *figures.sites]
    css = _css(len(panels))
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    # Nothing is loaded, run or sent. The one style is known by its hash, so that none could be slipped in.
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = h(
        "head",
        {},
        h("meta", {"charset": "utf-8"}),
        h("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
        h("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        h("meta", {"name": "color-scheme", "content": "light dark"}),
        h("meta", {"name": "referrer", "content": "no-referrer"}),
        h("meta", {"name": "robots", "content": "noindex"}),
        h("title", {}, f"{TITLE}, {wording.dates(figures.period)}"),
        stylesheet(css),
    )
    body = h(
        "body",
        {},
        h(
            "main",
            {},
            _header(figures),
            _switch(panels) if len(panels) > 1 else None,
            [_panel(number, site, figures) for number, site in enumerate(panels)],
            _part("lake", "The lake", lake_part(figures)),
        ),
        _footer(figures),
    )
    return f"<!DOCTYPE html>\n{written(h('html', {'lang': 'en'}, head, body))}\n"


def _header(figures: Figures) -> Element:
    period = figures.period
    said: list[Content] = [
        h("strong", {}, wording.dates(period)),
        " · days and hours of ",
        h("strong", {}, period.timezone),
        " · ",
        f"{len(figures.sites)} sites" if len(figures.sites) != 1 else isolated(wording.named(figures.sites[0].apikey)),
    ]
    more = None
    if figures.more_sites:
        some = ", ".join(wording.named(name, longest=40) for name in figures.more_sites[:20])
        count = f"Not on this page: {len(figures.more_sites):,} other sites ("
        more = h("p", {"class": "lead"}, count, isolated(some), "); --apikey makes a report on one of them.")
    verdicts = [h("li", {}, mark(is_well, text)) for is_well, text in checks(figures)]
    about = h("p", {"class": "about"}, said)
    return h("header", {}, h("h1", {}, TITLE), about, more, h("ul", {"class": "checks"}, verdicts))


def _switch(panels: list[Site]) -> Element:
    choices = [
        h(
            "label",
            {},
            h(
                "input",
                {
                    "type": "radio",
                    "name": "site",
                    "id": f"site-{number}",
                    "checked": "checked" if number == 0 else None,
                },
            ),
            h("span", {}, _name(site)),
        )
        for number, site in enumerate(panels)
    ]
    return h("fieldset", {"class": "switch"}, h("legend", {}, "Site"), choices)


def _panel(number: int, site: Site, figures: Figures) -> Element:
    name = f"audience-{number}", f"health-{number}"
    to = (("#" + name[0], "Audience"), ("#" + name[1], "Data health"), ("#lake", "The lake"))
    nav = h("nav", {"aria-label": "Parts"}, [h("a", {"href": href}, text) for href, text in to])
    of = "all sites" if site.apikey is None else _name(site)
    return h(
        "div",
        {"class": f"panel panel-{number}"},
        nav,
        _part(name[0], ["Audience of ", of], audience_part(site, figures)),
        _part(name[1], ["Health of the events of ", of], health_part(site, figures)),
    )


def _part(name: str, title: Content, content: list[Content]) -> Element:
    head = h("h2", {"id": f"{name}-title"}, title)
    named = {"class": "part", "id": name, "aria-labelledby": f"{name}-title"}
    return h("section", named, head, h("div", {"class": "sections"}, content))


def _footer(figures: Figures) -> Element:
    made = wording.instant(figures.period.now, figures.period.timezone)
    place = h("code", {}, isolated(wording.named(figures.place, longest=200)))
    by = f"Made {made} by parsely-spark {__version__} of "
    return h("footer", {}, by, place, ". Numbers are those of its tables and views.")


def _name(site: Site) -> Content:
    return "All sites" if site.apikey is None else isolated(wording.named(site.apikey, longest=60))


def _css(panels: int) -> str:
    """The style sheet, with the rules by which the switch shows one panel: no script is needed for that."""
    css = resources.files("parsely_spark.report").joinpath("style.css").read_text(encoding="utf-8")
    if panels < 2:
        return css
    shown = ",".join(f"body:has(#site-{number}:checked) .panel-{number}" for number in range(panels))
    # A browser that knows no :has() shows all of them, one below the other.
    return f"{css}@supports selector(:has(a)){{.panel{{display:none}}{shown}{{display:block}}}}\n"
