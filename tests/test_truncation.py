"""Values cut down, by tables of cases: addresses, user agents, and parameters of URLs, which urllib judges as well."""

from __future__ import annotations

import random
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_plus, urlsplit, urlunsplit

import pytest
from pyspark.sql import functions as F

from parsely_spark.errors import SettingsError
from parsely_spark.privacy_settings import PrivacySettings
from parsely_spark.transforms.truncation import major_version, truncated_address, truncated_user_agent
from parsely_spark.transforms.url_parameters import (
    may_hold_parameters,
    without_parameters,
    without_parameters_of_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyspark.sql import Column, SparkSession

NAMES = ("email", "token", "user[id]", "größe")


def assert_becomes(spark: SparkSession, rule: Callable[[Column], Column], wanted: Mapping[str, str | None]) -> None:
    """The rule makes each text what is *wanted* of it."""
    rows = spark.createDataFrame(list(wanted.items()), "given string, wanted string")
    wrong = rows.withColumn("became", rule(F.col("given"))).where("NOT became <=> wanted")
    assert [tuple(row) for row in wrong.collect()] == []


# --- addresses ----------------------------------------------------------------------------------------------------

NO_ADDRESSES = (
    *("", " ", "unknown", "203.0.113", "203.0.113.256", "203.0.113.07", "203.0.113.7.9", "203.0.113.7:443"),
    *("203.0.113.7, 10.0.0.1", " 203.0.113.7", "203.0.113.7\n", "٢٠٣.0.113.7", "-", "5d41402abc4b2a76b9719d911017c592"),
    *(":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "12345::", "g::", "[::1]"),
    *(":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "fe80::1%eth0", "64:ff9b::203.0.113.7", '["203.0.113.7"]'),
)


def network_of(text: str) -> str | None:
    """By the standard library; but it takes zones and addresses with dots at their end, which no column here has."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.sixtofour is not None:  # whose network holds all of an IPv4 address
            return None
        address = address.ipv4_mapped or address
    bits = 24 if address.version == 4 else 48
    return str(ip_network((address, bits), strict=False).network_address)


def addresses() -> list[str]:
    """As they may be written."""
    made = random.Random(3)
    v4 = [".".join(str(made.choice((0, 7, 42, 113, 199, 255))) for _ in range(4)) for _ in range(60)]
    v6 = []
    for _ in range(300):
        address = IPv6Address(sum(made.choice((0, 0, 1, 0xDB8, 0x10, 0xFFFF)) << (16 * n) for n in range(8)))
        if address.ipv4_mapped is None:
            v6 += [str(address), address.exploded, str(address).upper()]
    return [*v4, *(f"::ffff:{address}" for address in v4[:5]), f"::FFFF:{v4[5]}", *v6]


def test_an_address_becomes_its_network_as_the_standard_library_has_it_and_all_else_null(spark: SparkSession) -> None:
    wanted = {text: network_of(text) for text in addresses()} | dict.fromkeys(NO_ADDRESSES)
    assert wanted["203.0.113.7\n"] is None
    assert None not in [wanted[text] for text in addresses()]
    plain: dict[str, str | None] = {
        "203.0.113.77": "203.0.113.0",
        "2001:db8:85a3:8d3:1319:8a2e:370:7348": "2001:db8:85a3::",
        "::1": "::",
    }
    plain["2002:c000:0201::1"] = None
    assert_becomes(spark, truncated_address, wanted | plain)


# --- user agents --------------------------------------------------------------------------------------------------

_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
USER_AGENTS = {
    f"Mozilla/5.0 (Linux; Android 13; SM-G991B Build/TP1A.220624.014; wv) {_WEBKIT} Version/4.0 "
    "Chrome/120.0.6099.144 Mobile Safari/537.36": "Mozilla/5.0 (Android) AppleWebKit/537.0.0.0 Version/4.0.0.0 "
    "Chrome/120.0.0.0 Mobile Safari/537.0.0.0",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/120.0.0.0 Safari/537.36 Edg/120.0.2210.91": (
        "Mozilla/5.0 (Windows) AppleWebKit/537.0.0.0 Chrome/120.0.0.0 Safari/537.0.0.0 Edg/120.0.0.0"
    ),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:109.0) Gecko/20100101 Firefox/115.0": (
        "Mozilla/5.0 (Macintosh) Firefox/115.0.0.0"
    ),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Mobile/15E148 Instagram 312.0.1.19.124 (iPhone14,5; iOS 17_2_1; de_DE; scale=3.00; 1170x2532; 548339486)": (
        "Mozilla/5.0 (iPhone) AppleWebKit/605.0.0.0 Mobile"
    ),
    "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/20G75 "
    "[FBAN/FBIOS;FBAV/443.0.0.23;FBDV/iPad13,4;FBSV/16.6;FBCR/Operator;FBLC/de_DE]": (
        "Mozilla/5.0 (iPad) AppleWebKit/605.0.0.0 Mobile FBAV/443.0.0.0"
    ),
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) Chrome/119.1": "Mozilla/5.0 (CrOS) Chrome/119.0.0.0",
    "Chrome/1234 MyChrome/5 Chrome/12a Chrome/12": "Mozilla/5.0 Chrome/12.0.0.0",
    "Googlebot/2.1 (+http://www.google.com/bot.html)": None,
    "visitor-4711": None,
    "": None,
    '{"a":"Android"}': "Mozilla/5.0 (Android)",
}


def test_of_a_user_agent_browser_major_version_and_platform_stay(spark: SparkSession) -> None:
    assert_becomes(spark, truncated_user_agent, USER_AGENTS)
    versions = {"12.5.7": "12", "9": "9", "10_15": "10", "Vista": None, "": None, "1234.1": None, "1a": "1"}
    assert_becomes(spark, major_version, versions)


# --- parameters of URLs -------------------------------------------------------------------------------------------

URLS = {
    # what is left alone
    "https://a.example/p?q=1&b=2#top": ...,
    "https://a.example/?": ...,
    "?emails=x&my_email=x&e-mail=x&my.email=x&%6Dyemail=x&user[ids]=x&token2=x": ...,
    "?email&token#email": ...,
    "?q=email&w=token": ...,
    "email: x": ...,
    # places
    "?a=1&email=x#f": "?a=1#f",
    "?email=x#f": "#f",
    "?email=x": "",
    "?email=x&a=1": "?a=1",
    "?email=x&token=y&email=z&a=1&email=w&b=2&token=v": "?a=1&b=2",
    "?email=x&email=": "",
    "?email=a?b/c;d=e=f&g=1": "?g=1",
    "email=x&a=1": "a=1",
    "a=1&email=x": "a=1",
    "email=x": "",
    "https://a.example/#token=x&state=1": "https://a.example/#state=1",
    "https://a.example/?email=y#token=x": "https://a.example/",
    "#/route?email=x&a=1": "#/route?a=1",
    "#!email=x": "#!",
    "/p;token=x?id=5": "/p?id=5",
    "/p;token=x/r?id=5": "/p/r?id=5",
    "?a=1;email=x&b=2": "?a=1&b=2",
    "?a=1&amp;email=x&amp;b=2": "?a=1&amp&amp;b=2",
    "see https://a.example/?email=x": "see https://a.example/",
    "?state=email=x&b=1": "?state=&b=1",
    # ways to write it
    "?EMAIL=x&eMail=y": "",
    "?%65mail=x&em%61%69l=y&b=1": "?b=1",
    "?%2565mail=x&b=1": "?b=1",
    "?user%5Bid%5D=x&user[id]=y&b=1": "?b=1",
    "?gr%C3%B6%c3%9fe=x&GRÖßE=y&b=1": "?b=1",
    "?email%3Dx&b=1": "?b=1",
    r"?\u0065mail\u003dx&b=1": "?b=1",
    # a URL in a URL
    "?next=https%3A%2F%2Fb.example%2F%3Femail%3Dx%40y%26z%3D1&c=2": "?next=https%3A%2F%2Fb.example%2F%3Fz%3D1&c=2",
    "?next=https%3a%2f%2fb.example%2f%3fq%3d1%26email%3dx%2526y&c=2": "?next=https%3a%2f%2fb.example%2f%3fq%3d1&c=2",
    "?next=https%3A%2F%2Fb.example%2F%3Femail%3Dx%23f&c=2": "?next=https%3A%2F%2Fb.example%2F%23f&c=2",
    "?next=%2Fp%3Femail%3Dx%26token%3Dy": "?next=%2Fp",
    "?n=https%253A%252F%252Fb%253Fa%253D1%2526email%253Dx&d=1": "?n=https%253A%252F%252Fb%253Fa%253D1&d=1",
    # of this, more is taken out than had to be
    "?n=https%253A%252F%252Fb.example%253Femail%253Dx%2526a%253D1&d=1": "?n=https%253A%252F%252Fb.example&d=1",
    "?next=https://b.example/?email=x&c=2": "?next=https://b.example/?c=2",
}  # fmt: skip
JSON = {
    r'{"u":"https://a.example/?email=x&b=1","email":"y","n":5}': r'{"u":"https://a.example/?b=1","email":"y","n":5}',
    r'["?email=x","email=y&b=1",{"token=z":"a\"?email=b\"c"}]': r'["","b=1",{"":"a\""}]',
    r'{"u":"https:\/\/a.example\/?b=1\u0026email=a\"b","n":5}': r'{"u":"https:\/\/a.example\/?b=1","n":5}',
    r'{"u":"{\"v\":\"?email=x\",\"w\":1}","n":"a\nemail=b"}': r'{"u":"{\"v\":\"","n":"a\n"}',
    r'{"u":"?%65mail=x\\","n":5}': r'{"u":"","n":5}',
    r'{"u":"?em","n":"ail=x"}': ...,
}


def test_a_parameter_goes_wherever_it_stands_and_nothing_else_does(spark: SparkSession) -> None:
    wanted = {url: url if cut is ... else str(cut) for url, cut in URLS.items()}
    assert_becomes(spark, lambda text: without_parameters(text, NAMES), wanted)
    in_json = {text: text if cut is ... else str(cut) for text, cut in JSON.items()}
    assert_becomes(spark, lambda text: without_parameters_of_json(text, NAMES), in_json)


def test_a_long_value_and_a_long_name_take_no_longer_than_their_letters(spark: SparkSession) -> None:
    """A search that goes back to try each letter of the name otherwise takes hours for this."""
    name = "newsletter_subscription_id"
    long = f"?{name}=" + "x%26\\" * 400_000
    assert_becomes(spark, lambda text: without_parameters(text, [name]), {long: ""})
    assert_becomes(spark, lambda text: without_parameters_of_json(text, [name]), {f'["{long}n"]': '[""]'})


def by_urllib(url: str) -> str:
    """*url* without the parameters, of its query and of what looks like one in its fragment."""

    def left(query: str) -> str:
        parts = [part.partition("=") for part in query.split("&")]
        kept = [part for part in parts if not part[1] or unquote_plus(part[0]).lower() not in NAMES]
        return "&".join("".join(part) for part in kept)

    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=left(parts.query), fragment=left(parts.fragment)))


def test_a_url_becomes_what_urllib_makes_of_it_and_the_quick_question_misses_none(spark: SparkSession) -> None:
    made = random.Random(7)

    def written(name: str) -> str:
        letters = [f"%{ord(c):02x}" if made.random() < 0.2 and c.isascii() else c for c in name]
        name = "".join(c.upper() if made.random() < 0.2 and len(c) == 1 and c != "ß" else c for c in letters)
        return quote(name, safe="%") if made.random() < 0.3 else name

    def query() -> str:
        names = made.choices([*NAMES, "q", "mail", "emails", "tok", "user", "id"], k=made.randrange(1, 6))
        values = ["=", "=1", "=a%20b", "=x@y.example", "=%C3%B6", "=a+b", "=a/b", ""]
        return "&".join(written(name) + made.choice(values) for name in names)

    urls = []
    for _ in range(3000):
        url = made.choice(("https://a.example", "https://a.example/p/q.html", "/p;v=1", ""))
        url += f"?{query()}" if made.random() < 0.9 else ""
        urls.append(url + (made.choice((f"#{query()}", "#top")) if made.random() < 0.5 else ""))
    wanted = {url: by_urllib(url) for url in urls}
    assert 1000 < sum(url != cut for url, cut in wanted.items()) < len(wanted) - 300
    assert_becomes(spark, lambda text: without_parameters(text, NAMES), wanted)

    def if_asked(text: Column) -> Column:
        return F.when(may_hold_parameters(text, NAMES), F.lit("asked")).otherwise(text)

    assert_becomes(spark, if_asked, {url: url if url == cut else "asked" for url, cut in wanted.items()})


@pytest.mark.parametrize("name", ["a b", "a&b", "a=b", "a%20b", "utm_*", "a;b", "x" * 200, "a\\b", 'a"b'])
def test_a_name_that_no_parameter_can_have_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="is no name of one parameter; write it as it is without percent signs"):
        PrivacySettings(strip_query=(name,))


@pytest.mark.parametrize("name", ["visitor_ip", "user_agent"])
def test_how_much_is_kept_is_one_of_three_words(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}='hash' is none of keep, truncate, drop; give one of them."):
        PrivacySettings(**{name: "hash"})
