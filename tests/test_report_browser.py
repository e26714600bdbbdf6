"""The report in a real browser: it stays inert whatever the events say, and fits where it is looked at."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from chromium import Page, chromium_page
from report_figures import figures

from parsely_spark.report.page import page as html_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The least contrast of texts, with the text, and of the marks of charts, each with the ground that it stands on.
CONTRASTS = """() => {
    const parse = text => text.match(/[\\d.]+/g).map(Number);
    const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
    const ground = of => {
        for (; of; of = of.parentElement) {
            const color = parse(getComputedStyle(of).backgroundColor);
            if (color.length < 4 || color[3] > 0) return color;
        }
    };
    const contrast = (of, name) => {
        const [x, y] = [light(parse(getComputedStyle(of)[name])), light(ground(of))].sort((a, b) => b - a);
        return (x + 0.05) / (y + 0.05);
    };
    const shown = names => [...document.querySelectorAll(names)].filter(of => of.getBoundingClientRect().width);
    const texts = shown('body *:not(.again, title)')
        .filter(of => [...of.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
        .map(of => [contrast(of, of.closest('svg') ? 'fill' : 'color'), of.outerHTML.slice(0, 80)])
        .sort((a, b) => a[0] - b[0]);
    const marks = shown('.column, .edge').map(of => contrast(of, of.matches('.edge') ? 'stroke' : 'fill'));
    return { text: texts[0][0], worst: texts[0][1], marks: Math.min(...marks) };
}"""

WIDTHS = {"desktop": 1280, "phone": 390}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports: of ordinary texts, of hostile ones, and of a year."""
    folder = tmp_path_factory.mktemp("reports")
    made = {
        "ordinary": figures(sites=3),
        "hostile": figures(is_hostile=True),
        "long": figures(sites=2, days=366),
    }
    for name, of in made.items():
        (folder / f"{name}.html").write_text(html_of(of), encoding="utf-8")
    # What the page would do without its guards, so that the tests are known to see it.
    (folder / "naked.html").write_text(
        "<meta charset=utf-8><p>x</p><img src=gone.png onerror=\"alert('harm')\"><script>console.log('harm')</script>"
        "<div style='width: 2000px'>wide</div>",
        encoding="utf-8",
    )
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture
def page() -> Iterator[Page]:
    """A browser of its own for each test."""
    with chromium_page() as opened:
        opened.ask("Runtime.evaluate", expression="1")
        yield opened


def overflow(page: Page) -> int:
    """How far the page can be moved sideways, px."""
    wide: int = page.tell("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wide


def test_what_a_page_does_is_seen(page: Page, files: dict[str, Path]) -> None:
    """Else the tests below could not fail."""
    page.ask("Page.addScriptToEvaluateOnNewDocument", source="window.alert = text => console.log('dialog ' + text)")
    page.look(width=390)
    page.open(files["naked"])
    assert [address.rpartition("/")[2] for address in page.requests] == ["naked.html", "gone.png"]
    assert any("harm" in said for said in page.said)
    assert overflow(page) > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", WIDTHS)
def test_hostile_texts_are_texts(page: Page, files: dict[str, Path], device: str, scheme: str) -> None:
    """Nothing is asked for beside the file, no window opens, nothing is complained of: not even by the policy."""
    page.ask("Page.addScriptToEvaluateOnNewDocument", source="window.harm = () => console.log('harm')")
    page.look(width=WIDTHS[device], scheme=scheme)
    page.open(files["hostile"])
    for control in ("#site-1", "#site-0"):
        page.tell(f"document.querySelector('{control}').click()")
    page.tell("document.querySelectorAll('details').forEach(of => { of.open = true })")
    assert (page.requests, page.dialogs, page.said) == ([files["hostile"].as_uri()], [], [])
    assert page.tell("document.querySelectorAll('script, iframe, img, object, embed, base, link, form').length") == 0
    assert page.tell("document.querySelectorAll('style').length") == 1
    attributes = "[...document.querySelectorAll('*')].flatMap(of => of.getAttributeNames())"
    assert page.tell(f"{attributes}.filter(name => /^on|^style$|^src/.test(name))") == []
    links = set(page.tell("[...document.querySelectorAll('[href]')].map(of => of.href)"))
    assert {address.split(":")[0] for address in links} == {"https", "file"}
    assert all("#" in address for address in links if address.startswith("file:"))
    assert "<script>harm()</script>" in page.tell("document.body.textContent")


@pytest.mark.parametrize("device", WIDTHS)
@pytest.mark.parametrize("name", ["ordinary", "hostile", "long"])
def test_a_report_fits_the_width_of_the_screen(page: Page, files: dict[str, Path], name: str, device: str) -> None:
    page.look(width=WIDTHS[device])
    page.open(files[name])
    page.tell("document.querySelectorAll('details').forEach(of => { of.open = true })")
    assert page.tell("window.innerWidth") == WIDTHS[device]
    assert overflow(page) == 0


def test_headings_are_one_title_and_then_in_order(page: Page, files: dict[str, Path]) -> None:
    page.look(width=1280)
    page.open(files["ordinary"])
    levels = page.tell("[...document.querySelectorAll('h1, h2, h3, h4, h5')].map(of => Number(of.tagName[1]))")
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    shown = "[...document.querySelectorAll('h2')].filter(of => of.offsetHeight).map(of => of.textContent)"
    assert page.tell(shown) == ["Audience of all sites", "Health of the events of all sites", "The lake"]


def test_the_switch_shows_one_site_without_a_script(page: Page, files: dict[str, Path]) -> None:
    page.look(width=1280)
    page.open(files["ordinary"])
    page.tell("document.querySelector('#site-2').click()")
    shown = "[...document.querySelectorAll('h2')].filter(of => of.offsetHeight).map(of => of.textContent)"
    assert page.tell(shown) == ["Audience of site1.example", "Health of the events of site1.example", "The lake"]


@pytest.mark.parametrize("name", ["ordinary", "long"])
def test_charts_are_drawn_named_and_inside_of_their_place(page: Page, files: dict[str, Path], name: str) -> None:
    """Each has something that is as wide as it is high to be seen, and letters that no edge cuts."""
    for width in WIDTHS.values():
        page.look(width=width)
        page.open(files[name])
        charts = page.tell("""[...document.querySelectorAll('svg.chart')].filter(of => of.getBoundingClientRect().width)
            .map(of => ({
                said: of.getAttribute('aria-label'),
                width: of.getBoundingClientRect().width,
                marks: [...of.querySelectorAll('path')].filter(path => path.getBBox().width > 0).length,
                cut: [...of.querySelectorAll('text')].filter(text => {
                    const [a, b] = [text.getBoundingClientRect(), of.getBoundingClientRect()];
                    return a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1;
                }).map(text => text.textContent),
                over: [...of.querySelectorAll('text.label')].map(text => text.getBoundingClientRect())
                    .filter((box, at, all) => at && box.left < all[at - 1].right).length,
            }))""")
        assert len(charts) >= 6
        for chart in charts:
            assert chart["said"]
            assert chart["width"] > 80
            assert chart["marks"] >= 1
            assert (chart["cut"], chart["over"]) == ([], 0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_are_told_from_their_ground(page: Page, files: dict[str, Path], scheme: str) -> None:
    """By the contrast of 4.5 to 1 that WCAG wants of small letters (AA), and 3 to 1 of the marks of a chart."""
    page.look(width=1280, scheme=scheme)
    page.open(files["hostile"])
    least = page.tell(f"({CONTRASTS})()")
    assert least["text"] >= 4.5, least
    assert least["marks"] >= 3, least


def test_the_scheme_and_the_paper_choose_the_colours(page: Page, files: dict[str, Path]) -> None:
    page.open(files["ordinary"])
    ground = "getComputedStyle(document.body).backgroundColor"
    seen = {}
    for scheme in ("light", "dark"):
        page.look(width=1280, scheme=scheme)
        seen[scheme] = page.tell(ground)
    page.look(width=1280, scheme="dark", medium="print")
    assert seen["light"] == page.tell(ground) == "rgb(255, 255, 255)"
    assert seen["dark"] != seen["light"]
    assert page.tell("getComputedStyle(document.querySelector('.switch')).display") == "none"


def test_tables_name_their_columns_and_rows(page: Page, files: dict[str, Path]) -> None:
    page.open(files["ordinary"])
    assert page.tell("document.querySelectorAll('table').length") > 20
    assert page.tell("[...document.querySelectorAll('table')].filter(of => !of.caption || !of.tHead).length") == 0
    assert page.tell("document.querySelectorAll('th:not([scope])').length") == 0
    unnamed = "[...document.querySelectorAll('tbody tr')].filter(of => !of.querySelector('th[scope=row]'))"
    assert page.tell(f"{unnamed}.length") == 0
    ids = page.tell("[...document.querySelectorAll('[id]')].map(of => of.id)")
    assert len(ids) == len(set(ids))
