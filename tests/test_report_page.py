"""What the page is made of: elements that cannot act, words for numbers, charts and verdicts."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from report_figures import ADDRESSES, HOSTILE, figures

from parsely_spark.report import wording
from parsely_spark.report.charts import heat_map, scale, time_columns
from parsely_spark.report.elements import h, is_web, link, plain, stylesheet, written
from parsely_spark.report.figures import Counts, Site, added, unexplained
from parsely_spark.report.page import page
from parsely_spark.report.verdicts import Silence, checks, silence_of

MIB = 2**20


class Seen(HTMLParser):
    """The tags and texts that a parser which shares no code with the writer sees."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_text_of_others_is_a_text_wherever_it_stands(text: str) -> None:
    seen = Seen(written(h("p", {"title": text}, text, h("b", {}, text), text)))
    assert seen.tags == ["p", "b"]
    assert seen.text == 3 * plain(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: h("script"),
        lambda: h("iframe"),
        lambda: h("p", {"onclick": "x"}),
        lambda: h("p", {"style": "color: red"}),
        lambda: h("img", {"src": "x"}),
        lambda: h("p", {'x" onload="harm()': "x"}),
        lambda: h("a", {"href": "javascript:x"}),
        lambda: stylesheet("</style>"),
    ],
)
def test_an_element_that_could_act_is_refused(make) -> None:
    with pytest.raises(ValueError, match=r"more than show|nor a web address|no </ in it"):
        make()


def test_only_web_addresses_become_links() -> None:
    assert [address for address in ADDRESSES if is_web(address)] == [ADDRESSES[0]]
    assert written(link("javascript:x", "t")) == "<span>t</span>"
    assert written(link("HTTPS://x.example/ä?a=1&b=2", "t")) == '<a href="HTTPS://x.example/ä?a=1&amp;b=2">t</a>'


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (wording.number(1234567.4), "1,234,567"),
        (wording.percent(1, 3), "33.3 %"),
        (wording.percent(1, 9_999), "<0.1 %"),
        (wording.percent(1, 0), "–"),
        (wording.duration(59.4), "59 s"),
        (wording.duration(3_600), "1 h"),
        (wording.duration(90_061), "1 d 1 h"),
        (wording.hours(5_400), "1.5 h"),
        (wording.short_number(2_500), "2.5k"),
        (wording.hour(24 * 20_467 + 7), "Wed 14 Jan, 07:00"),
        (wording.instant(datetime(2026, 1, 15, 3, tzinfo=UTC), "America/New_York"), "2026-01-14 22:00"),
        (wording.instant(datetime(2026, 1, 15, 3, tzinfo=UTC), "No/Place"), "2026-01-15 03:00 UTC"),
        (wording.named(" "), "not known"),
        (wording.named("x" * 100), "x" * 89 + "…"),
        (wording.address("https://www.news.example/a"), "news.example/a"),
    ],
)
def test_numbers_times_and_names_are_words(said: str, expected: str) -> None:
    assert said == expected


@pytest.mark.parametrize("most", [0.3, 1, 7, 10, 99, 101, 2_500, 2_501, 123_456])
def test_an_axis_ends_with_a_round_number_that_is_not_far_above(most: float) -> None:
    top, lines = scale(most)
    assert most <= top <= 2 * most
    assert lines[-1] == pytest.approx(top)
    assert 1 <= len(lines) <= 4


def test_an_axis_of_nothing_has_no_lines() -> None:
    assert scale(0) == (1.0, [])


def test_a_column_is_as_high_as_its_value() -> None:
    """On an axis of 0 to 20 that is 122 px high: 20, 10 and nothing."""
    chart = written(time_columns([20, 10, 0], said="x", labels=[], tip=str))
    tops = [130 - float(top) for top in re.findall(r"V([\d.]+)h", chart)]
    assert tops == [122, 61]
    assert re.findall(r"<title>(\d)", chart) == ["0", "1", "2"]


def test_a_field_is_darker_where_there_is_more_and_hollow_where_there_is_nothing() -> None:
    chart = written(heat_map([[0, 1, 100, None]], said="x", row_labels=[], labels=[]))
    fields = dict(re.findall(r'class="(heat\d)" d="(M\d)', chart))
    assert fields == {"heat0": "M0", "heat1": "M1", "heat6": "M2"}


def test_a_site_that_falls_silent_while_others_go_on_is_seen() -> None:
    made = figures(sites=2, days=1)
    hours = made.period.hours
    for site, counts in zip(made.sites, ([1, 0, 0, 1, 1, 0, 0, 0], [1] * 8), strict=True):
        site.hours = {hour: {"events": count} for hour, count in zip(hours, counts, strict=False)}
    made.all_sites.hours = made.sites[1].hours
    assert silence_of(made.sites[0], made) == Silence(hours=5, longest=3, since=hours[5])
    assert silence_of(made.sites[1], made) == Silence(hours=0, longest=0, since=None)
    assert checks(made)[0] == (False, "1 site is silent for two hours or more in a row")


def test_what_is_amiss_is_said_first() -> None:
    said = {text: is_well for is_well, text in checks(figures())}
    assert said["All 220 lines are accounted for"]
    assert not said["1 sum differs between tables"]
    assert not said["1 of the last 2 runs was not done in full"]


def test_lines_that_no_account_explains_are_counted() -> None:
    counts: Counts = {"lines": 10, "inserted": 5, "duplicate": 2, "rejected": 1, "blank": 1}
    assert unexplained(counts) == 1
    assert added(counts, {"lines": 2, "more": 0.5}) == {**counts, "lines": 12, "more": 0.5}


def test_a_report_on_one_site_has_no_switch_and_nothing_twice() -> None:
    html = page(figures(sites=1))
    assert "radio" not in html
    assert html.count("<h2") == 3


def test_a_report_without_events_is_a_page_all_the_same() -> None:
    made = figures(sites=0)
    made.all_sites = Site(apikey=None)
    assert Seen(page(made)).text.count("There is none in this period.") > 5


@pytest.mark.parametrize(("sites", "days", "most_mib"), [(1, 2, 0.25), (4, 28, 1), (12, 366, 3)])
def test_a_report_is_small(sites: int, days: int, most_mib: float) -> None:
    """The least even one, whose every hour is of another shade than the hour before."""
    assert len(page(figures(sites=sites, days=days)).encode()) < most_mib * MIB


def test_the_policy_allows_the_one_style_and_nothing_else() -> None:
    html = page(figures())
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)[1]
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/]{43}='; base-uri 'none'; form-action 'none'", policy
    )
    assert "http://" not in html.split("</style>")[0]
