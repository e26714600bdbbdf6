"""Lines that do harm where they are believed, each with what it must become, written out by hand.

The outcomes follow the rules (README, docs/), not the code: where the two differ, one of them has to change.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import md5
from typing import Any

INGESTED_AT = datetime(2026, 1, 20, tzinfo=UTC)
SERVER = b"1768435199000"  # 2026-01-14 23:59:59, ms


def of(*fields: bytes) -> bytes:
    """An object of these fields."""
    return b"{" + b",".join(fields) + b"}"


SITE, ID, TIME = b'"apikey":"a.example"', b'"event_id":"0x1"', b'"timestamp_info_nginx_ms":' + SERVER


def usual(*fields: bytes) -> bytes:
    """An event of a site, with an id, at 2026-01-14 23:59:59, and these fields."""
    return of(SITE, ID, TIME, *fields)


# What `usual()` becomes; every field that is not named is null.
USUAL = {
    "apikey": "a.example",
    "event_id": "0x1",
    "timestamp_info_nginx_ms": 1768435199000,
    "event_at": "2026-01-14 23:59:59.000",
}


def at_server_time(server: bytes, *fields: bytes) -> bytes:
    """An event whose server time is this."""
    return of(SITE, ID, b'"timestamp_info_nginx_ms":' + server, *fields)


def acted_at(text: bytes) -> bytes:
    """The usual event with this ``ts_action``."""
    return usual(b'"ts_action":"' + text + b'"')


def only_acted_at(text: bytes) -> bytes:
    """An event without a server time."""
    return of(SITE, ID, b'"ts_action":"' + text + b'"')


def in_session(
    *, session: bytes = b"true", number: bytes = b"3", start: bytes = b"1768435198000", visitor: bytes = b'"v"'
) -> bytes:
    """The usual event in session 3 of the visitor v, which began a second before, or so."""
    names = (b"session", b"session_id", b"session_timestamp", b"visitor_site_id")
    values = (session, number, start, visitor)
    return usual(*[b'"' + name + b'":' + value for name, value in zip(names, values, strict=True)])


def session_of(key: str | None, **fields: Any) -> dict[str, Any]:
    """What `in_session()` becomes, its key being the md5 of *key*, but for these *fields*."""
    values = {"session": True, "session_id": 3, "session_timestamp": 1768435198000, "visitor_site_id": "v"}
    return values | fields | {"session_key": md5(key.encode()).hexdigest() if key else None}


BLANK = {
    "empty": b"",
    "a space": b" ",
    "a tab": b"\t",
    "a carriage return": b"\r",
    "a vertical tab": b"\v",
    "a form feed": b"\f",
    "all white space there is": b" \t\r\v\f \r",
}

# reason → lines that are refused for it
REFUSED = {
    "not_utf8": {
        "byte that UTF-8 never has": usual(b'"url":"\xff"'),
        "lone continuation": usual(b'"url":"\x80"'),
        "overlong slash": usual(b'"url":"\xc0\xaf"'),
        "overlong NUL": usual(b'"url":"\xc0\x80"'),
        "overlong in three bytes": usual(b'"url":"\xe0\x80\xaf"'),
        "sequence cut by the end of the text": usual(b'"url":"\xe2\x82"'),
        "surrogates in UTF-8": usual(b'"url":"\xed\xa0\xbe\xed\xb6\x89"'),
        "beyond Unicode": usual(b'"url":"\xf4\x90\x80\x80"'),
        "five bytes": usual(b'"url":"\xf8\x88\x80\x80\x80"'),
        "Latin-1": usual('"metadata_title":"Größe"'.encode("latin-1")),
        "not UTF-8 in a name": usual(b'"\xc3":"x"'),
        "not UTF-8 in a field that nobody reads": usual(b'"never_seen":{"a":"\xc3("}'),
        "not UTF-8 between fields": usual(b'\xa0"url":"u"'),
        "not UTF-8 behind the object": usual() + b"\xff",
        "sequence cut by the end of the line": usual()[:-1] + b',"url":"\xf0\x9f\xa6',
        "UTF-16 with its mark, little end first": b"\xff\xfe" + usual().decode().encode("utf-16-le"),
        "UTF-16 with its mark, big end first": b"\xfe\xff" + usual().decode().encode("utf-16-be"),
        "half a byte order mark": b"\xef\xbb" + usual(),
        "byte FF alone": b"\xff",
        "byte 80 alone": b"\x80",
        "first byte of three alone": b"\xe2",
    },
    "not_an_object": {
        # no JSON
        "text": b"hello",
        "bytes of gzip's head that are UTF-8": b"\x1f\x08\x00\x00",
        "HTML": b"<html><body>502 Bad Gateway</body></html>",
        "CSV": b"a.example,0x1,1768435199000",
        "opening brace": b"{",
        "closing brace": b"}",
        "quote": b'"',
        "cut before the brace": usual()[:-1],
        "cut in a number": usual()[:-9],
        "cut in a text": usual(b'"url":"https://a.example/1"')[:-8],
        "cut in a name": usual(b'"url":"u"')[:-8],
        "cut in an escape": usual()[:-1] + rb',"url":"\u00',
        "cut behind a colon": usual()[:-1] + b',"url":',
        "cut in a nested object": usual(b'"extra_data":{"a":{"b":1}}')[:-1],
        "cut at the start": usual()[5:],
        "colon missing": usual(b'"url" "u"'),
        "comma missing": usual(b'"url":"u" "action":"pageview"'),
        "value missing": usual(b'"url":'),
        "name without quotes": usual(b'url:"u"'),
        "names in single quotes": b"{'apikey':'a.example','event_id':'0x1','timestamp_info_nginx_ms':1768435199000}",
        "value in single quotes": usual(b"\"url\":'u'"),
        "comma before the brace": usual()[:-1] + b",}",
        "comma before the bracket": usual(b'"metadata_tags":["a",]'),
        "comma behind the object": usual() + b",",
        "comma first": b"{," + usual()[1:],
        "comma twice": usual(b'"url":"u",'),
        "comment before": b"/* an event */" + usual(),
        "comment inside": usual(b'/* a URL */"url":"u"'),
        "comment behind": usual() + b" // an event",
        "comment behind that ends in a brace": usual() + b" //}",
        "hash comment": b"# " + usual(),
        "NaN": usual(b'"ip_lat":NaN'),
        "NaN for a whole number": usual(b'"engaged_time_inc":NaN'),
        "NaN in a field that nobody reads": usual(b'"never_seen":NaN'),
        "NaN deep inside": usual(b'"extra_data":{"a":[NaN]}'),
        "Infinity": usual(b'"ip_lat":Infinity'),
        "-Infinity": usual(b'"ip_lat":-Infinity'),
        "Python's True": usual(b'"session":True'),
        "Python's None": usual(b'"url":None'),
        "undefined": usual(b'"url":undefined'),
        "zeros before a number": usual(b'"engaged_time_inc":007'),
        "plus before a number": usual(b'"engaged_time_inc":+7'),
        "two minus signs": usual(b'"engaged_time_inc":--7'),
        "minus alone": usual(b'"engaged_time_inc":-'),
        "point first": usual(b'"ip_lat":.5'),
        "point last": usual(b'"ip_lat":5.'),
        "exponent without digits": usual(b'"ip_lat":1e'),
        "hexadecimal": usual(b'"engaged_time_inc":0x10'),
        "number with underscores": usual(b'"engaged_time_inc":1_000'),
        "number with commas": usual(b'"engaged_time_inc":1,000'),
        # JSON, but not exactly one object
        "array of nothing": b"[]",
        "array of one event": b"[" + usual() + b"]",
        "array of two events": b"[" + usual() + b"," + usual() + b"]",
        "array of numbers": b"[1,2]",
        "number": b"42",
        "negative number": b"-0.5e3",
        "quoted": b'"x"',
        "quoted event": b'"{\\"apikey\\":\\"a.example\\"}"',
        "true": b"true",
        "null": b"null",
        "two objects": usual() + usual(b'"url":"u"'),
        "two objects with a space": usual() + b" " + usual(b'"url":"u"'),
        "two objects with a comma": usual() + b"," + usual(b'"url":"u"'),
        "two objects with a carriage return": usual() + b"\r" + usual(b'"url":"u"'),
        "two objects with a NUL": usual() + b"\x00" + usual(b'"url":"u"'),
        "two objects, the second empty": usual() + b"{}",
        "object and text": usual() + b" x",
        "object and a number": usual() + b" 5",
        "object and brace": usual() + b"}",
        "object and a single quote": usual() + b"'}",
        "object, element and the end of an array": usual() + b",1] and what not}",
        "object, element, end and object": usual() + b",0] {}",
        "object and end of an array": usual() + b"] and what not}",
        "two objects and the ends of two arrays": usual() + b",{}]]",
        "wrong type and text behind": usual(b'"session_id":"3"') + b" x",
        "wrong type and an object behind": usual(b'"session_id":"3"') + usual(),
        "text before": b"x" + usual(),
        "XSSI guard before": b")]}'," + usual(),
        "log prefix before": b"2026-01-14T23:59:59Z " + usual(),
        # signs that JSON does not have there
        "tab in a text": usual(b'"url":"a\tb"'),
        "carriage return in a text": usual(b'"url":"a\rb"'),
        "NUL in a text": usual(b'"url":"a\x00b"'),
        "terminal escape in a text": usual(b'"url":"\x1b[2J"'),
        "last of the control characters in a text": usual(b'"url":"\x1f"'),
        "tab in a name": usual(b'"a\tb":"x"'),
        "tab in a text that nobody reads": usual(b'"never_seen":"a\tb"'),
        "NUL": b"\x00",
        "NULs, as of a file with a hole": b"\x00" * 4096,
        "NUL behind the object": usual() + b"\x00",
        "NUL between fields": usual(b'\x00"url":"u"'),
        "vertical tab before the object": b"\v" + usual(),
        "form feed behind the object": usual() + b"\f",
        "no-break space behind the object": usual() + "\u00a0".encode(),
        "no-break space alone": "\u00a0".encode(),
        "wide space alone": "\u3000".encode(),
        "line separator alone": "\u2028".encode(),
        "escape of Python": usual(rb'"url":"\x41"'),
        "escape of a single quote": usual(rb'"url":"it\'s"'),
        "escape of two digits": usual(rb'"url":"\u41"'),
        "byte order mark alone": b"\xef\xbb\xbf",
        "two byte order marks": b"\xef\xbb\xbf\xef\xbb\xbf" + usual(),
        "byte order mark behind a space": b" \xef\xbb\xbf" + usual(),
        "byte order mark behind the object": usual() + b"\xef\xbb\xbf",
        "UTF-16 without its mark": usual().decode().encode("utf-16-le"),
        "UTF-16 without its mark, big end first": usual().decode().encode("utf-16-be"),
        # Beyond what the parser reads: such a line is kept, so nothing is lost.
        "nesting 1,500 deep": usual(b'"extra_data":' + b'{"a":' * 1500 + b"1" + b"}" * 1500),
        "nesting 1,500 deep in a field that nobody reads": usual(b'"never_seen":' + b"[" * 1500 + b"]" * 1500),
        "100,000 opening brackets": b"[" * 100_000,
        "number of 1,200 digits": usual(b'"engaged_time_inc":' + b"9" * 1200),
        "name of 60,000 letters": usual(b'"' + b"x" * 60_000 + b'":1'),
    },
    "no_apikey": {
        "empty object": b"{}",
        "empty object with white space": b" {\t} \r",
        "no site": of(ID, TIME),
        "site is null": of(b'"apikey":null', ID, TIME),
        "site is empty": of(b'"apikey":""', ID, TIME),
        "site in capitals": of(b'"APIKEY":"a.example"', ID, TIME),
        "site with a space in its name": of(b'"apikey ":"a.example"', ID, TIME),
        "site in Cyrillic letters": of('"\u0430pikey":"a.example"'.encode(), ID, TIME),
        "site in a nested object": of(b'"event":' + of(SITE), ID, TIME),
        "site twice, null at last": usual(b'"apikey":null'),
        "no site and a wrong type": of(ID, TIME, b'"session_id":"x"'),
        "neither site nor time": of(ID),
    },
    "no_time": {
        "no time at all": of(SITE, ID),
        "times are null": of(SITE, ID, b'"timestamp_info_nginx_ms":null', b'"ts_action":null'),
        "server time is text, no other": at_server_time(b'"yesterday"'),
        "server time is empty text, no other": at_server_time(b'""'),
        "server time is a list, no other": at_server_time(b"[" + SERVER + b"]"),
        "server time is true, no other": at_server_time(b"true"),
        "server time has a fraction, no other": at_server_time(b"1768435199000.5"),
        "server time beyond 64 bits, no other": at_server_time(b"9223372036854775808"),
        "server time as a date, no other": at_server_time(b'"2026-01-14 23:59:59"'),
        "only an action in the year 294247": only_acted_at(b"+294247-01-10 04:00:54"),
        "only an action of MySQL's zero date": only_acted_at(b"0000-00-00 00:00:00"),
        "only an action before Christ": only_acted_at(b"-2026-01-14 23:30:00"),
        "only an action on 30 February": only_acted_at(b"2026-02-30 00:00:00"),
        "only an action in words": only_acted_at(b"now"),
        "only an action in no text": only_acted_at(b""),
        "only an action as a number": of(SITE, ID, b'"ts_action":' + SERVER),
        "only the client's clocks": of(SITE, ID, b'"timestamp_info_pixel_ms":' + SERVER),
    },
    "time_out_of_range": {
        "server 1 ms before 2010": at_server_time(b"1262303999999"),
        "server a day and 1 ms ahead": at_server_time(b"1768953600001"),
        "server at 0": at_server_time(b"0"),
        "server at -1": at_server_time(b"-1"),
        "server in seconds": at_server_time(b"1768435199"),
        "server in microseconds": at_server_time(b"1768435199000000"),
        "server at the least number": at_server_time(b"-9223372036854775808"),
        "server at the greatest number": at_server_time(b"9223372036854775807"),
        "server out of range, action within": at_server_time(b"0", b'"ts_action":"2026-01-14 23:59:59"'),
        "only an action in the year 9999": only_acted_at(b"9999-12-31 23:59:59"),
        "only an action in the year 1": only_acted_at(b"0001-01-01 00:00:00"),
        "only an action before 2010": only_acted_at(b"2009-12-31 23:59:59"),
        "only an action a day and 1 s ahead": only_acted_at(b"2026-01-21 00:00:01"),
    },
}

# name → the line, and what it says that `usual()` does not; times as text in UTC, `_rescued` as the object it is
EVENTS: dict[str, tuple[bytes, dict[str, Any]]] = {
    # bytes
    "byte order mark": (b"\xef\xbb\xbf" + usual(), {}),
    "byte order mark inside a text": (usual(b'"url":"a\xef\xbb\xbfb"'), {"url": "a\ufeffb"}),
    "carriage return at the end": (usual() + b"\r", {}),
    "carriage returns between fields": (usual(b'\r"url"\r:\r"u"\r') + b"\r", {"url": "u"}),
    "white space around": (b" \t\r" + usual() + b" \t\r\r", {}),
    "line separators of Unicode in a text": (
        usual('"url":"a\u2028\u0085\u2029b"'.encode()),
        {"url": "a\u2028\u0085\u2029b"},
    ),
    "control characters that JSON lets pass": (usual(b'"url":"\x7f\xc2\x9b31m"'), {"url": "\x7f\x9b31m"}),
    "last sign of Unicode": (usual('"url":"\U0010ffff\ufffe"'.encode()), {"url": "\U0010ffff\ufffe"}),
    # escapes
    "tab escaped": (usual(rb'"url":"a\tb\r\n"'), {"url": "a\tb\r\n"}),
    "NUL escaped": (usual(rb'"url":"a\u0000b"'), {"url": "a\x00b"}),
    "terminal escape escaped": (
        usual(rb'"metadata_title":"\u001b[31mred\u0007"'),
        {"metadata_title": "\x1b[31mred\x07"},
    ),
    "owl of two escapes": (usual(rb'"url":"\ud83e\udd89"'), {"url": "🦉"}),
    "half an owl": (usual(rb'"url":"\ud83e"'), {"url": "?"}),
    "half an owl and a letter": (usual(rb'"url":"\udd89b"'), {"url": "?b"}),
    "owl the wrong way round": (usual(rb'"url":"\udd89\ud83e"'), {"url": "??"}),
    "half an owl in a list": (usual(rb'"metadata_tags":["\ud83e","a"]'), {"metadata_tags": ["?", "a"]}),
    "name escaped": (of(rb'"api\u006bey":"a.example"', ID, TIME), {}),
    # names
    "site twice, the last counts": (usual(b'"apikey":"b.example"'), {"apikey": "b.example"}),
    "site null and then not": (of(b'"apikey":null', SITE, ID, TIME), {}),
    "number twice, wrong and then right": (
        usual(b'"engaged_time_inc":"x","engaged_time_inc":5'),
        {"engaged_time_inc": 5},
    ),
    "number twice, right and then wrong": (
        usual(b'"engaged_time_inc":5,"engaged_time_inc":"x"'),
        {"_rescued": {"engaged_time_inc": "x"}},
    ),
    "unknown field twice": (usual(b'"brand_new":1,"brand_new":2'), {"_rescued": {"brand_new": "2"}}),
    "unknown field": (usual(b'"brand_new":"x"'), {"_rescued": {"brand_new": "x"}}),
    "unknown field is null": (usual(b'"brand_new":null'), {}),
    "unknown field is empty": (usual(b'"brand_new":""'), {"_rescued": {"brand_new": ""}}),
    "unknown field is an empty object": (usual(b'"brand_new":{}'), {"_rescued": {"brand_new": "{}"}}),
    "unknown field is deep": (
        usual(b'"brand_new":{"a":[1,{"b":"}"}]}'),
        {"_rescued": {"brand_new": '{"a":[1,{"b":"}"}]}'}},
    ),
    "unknown field is a long fraction": (
        usual(b'"brand_new":0.1234567890123456789'),
        {"_rescued": {"brand_new": "0.12345678901234568"}},  # Spark hands on fractions as a double prints them
    ),
    "unknown field is a long number": (
        usual(b'"brand_new":123456789012345678901234567890'),
        {"_rescued": {"brand_new": "123456789012345678901234567890"}},
    ),
    "unknown field, and a wrong type": (
        usual(b'"never_seen":"x","session_id":"3"'),
        {"session_id": 3, "_rescued": {"never_seen": "x"}},
    ),
    "two hundred unknown fields": (
        usual(*[b'"n%d":%d' % (n, n) for n in range(200)]),
        {"_rescued": {f"n{n}": str(n) for n in range(200)}},
    ),
    "known name in capitals": (usual(b'"URL":"u","url":"v"'), {"url": "v", "_rescued": {"URL": "u"}}),
    "name that is half an owl": (usual(rb'"\ud83e":"x"'), {"_rescued": {"?": "x"}}),
    "name with a dot": (usual(b'"metadata.title":"x"'), {"_rescued": {"metadata.title": "x"}}),
    "name with a space": (usual(b'"two words":"x"'), {"_rescued": {"two words": "x"}}),
    "name with quotes": (usual(rb'"say \"hi\"":"x"'), {"_rescued": {'say "hi"': "x"}}),
    "name with an apostrophe": (usual(b'"it\'s":"x"'), {"_rescued": {"it's": "x"}}),
    "name with ticks": (usual(b'"`ticks`":"x"'), {"_rescued": {"`ticks`": "x"}}),
    "name with an index": (usual(b'"a[0]":"x"'), {"_rescued": {"a[0]": "x"}}),
    "name that means all": (usual(b'"*":"x"'), {"_rescued": {"*": "x"}}),
    "name that is a path": (usual(b'"$.x":"x"'), {"_rescued": {"$.x": "x"}}),
    "name with a line end": (usual(rb'"line\nend":"x"'), {"_rescued": {"line\nend": "x"}}),
    "name with a NUL": (usual(rb'"NUL\u0000":"x"'), {"_rescued": {"NUL\0": "x"}}),
    "name is empty": (usual(b'"":"x"'), {"_rescued": {"": "x"}}),
    "names beyond ASCII": (
        usual('"schlüssel":"x","鍵🦉":"y"'.encode()),
        {"_rescued": {"schlüssel": "x", "鍵🦉": "y"}},
    ),
    "names of what is computed": (
        usual(b'"event_at":"1999-01-01 00:00:00","date":"1999-01-01","hour":99,"_rescued":"{}"'),
        {"_rescued": {"event_at": "1999-01-01 00:00:00", "date": "1999-01-01", "hour": "99", "_rescued": "{}"}},
    ),
    "names of what is between": (
        usual(b'"_line":"x","_reason":"no_time","value":"{}"'),
        {"_rescued": {"_line": "x", "_reason": "no_time", "value": "{}"}},
    ),
    "name of the column for corrupt lines": (usual(b'"_corrupt":"x"'), {"_rescued": {"_corrupt": "x"}}),
    "prototype": (usual(b'"__proto__":{"session":true}'), {"_rescued": {"__proto__": '{"session":true}'}}),
    # whole numbers
    "-0": (usual(b'"engaged_time_inc":-0'), {"engaged_time_inc": 0}),
    "-0.0": (usual(b'"engaged_time_inc":-0.0'), {"engaged_time_inc": 0}),
    "1.0 for a whole number": (usual(b'"engaged_time_inc":1.0'), {"engaged_time_inc": 1}),
    "1e3 for a whole number": (usual(b'"engaged_time_inc":1e3'), {"engaged_time_inc": 1000}),
    "1.5 for a whole number": (usual(b'"engaged_time_inc":1.5'), {"_rescued": {"engaged_time_inc": "1.5"}}),
    "1e20 for a whole number": (usual(b'"engaged_time_inc":1e20'), {"_rescued": {"engaged_time_inc": "1.0E20"}}),
    "1e400 for a whole number": (
        usual(b'"engaged_time_inc":1e400'),
        {"_rescued": {"engaged_time_inc": '"Infinity"'}},  # likewise
    ),
    "almost a whole number": (
        usual(b'"engaged_time_inc":5.0000000001'),
        {"_rescued": {"engaged_time_inc": "5.0000000001"}},
    ),
    "whole number with a point beyond 53 bits": (
        usual(b'"engaged_time_inc":9007199254740993.0'),
        {"_rescued": {"engaged_time_inc": "9.007199254740992E15"}},  # likewise; its last digit is in doubt
    ),
    "greatest number": (usual(b'"engaged_time_inc":9223372036854775807'), {"engaged_time_inc": 2**63 - 1}),
    "greatest number and 1": (
        usual(b'"engaged_time_inc":9223372036854775808'),
        {"_rescued": {"engaged_time_inc": "9223372036854775808"}},
    ),
    "least number": (usual(b'"engaged_time_inc":-9223372036854775808'), {"engaged_time_inc": -(2**63)}),
    "number of 100 digits": (
        usual(b'"engaged_time_inc":' + b"9" * 100),
        {"_rescued": {"engaged_time_inc": "9" * 100}},
    ),
    "greatest number in quotes": (usual(b'"engaged_time_inc":"9223372036854775807"'), {"engaged_time_inc": 2**63 - 1}),
    "almost 0": (usual(b'"engaged_time_inc":1e-12'), {"_rescued": {"engaged_time_inc": "1.0E-12"}}),
    "negative time": (usual(b'"engaged_time_inc":-5'), {"engaged_time_inc": -5}),
    "text for a whole number": (usual(b'"engaged_time_inc":"x"'), {"_rescued": {"engaged_time_inc": "x"}}),
    "no text for a whole number": (usual(b'"engaged_time_inc":""'), {"_rescued": {"engaged_time_inc": ""}}),
    "true for a whole number": (usual(b'"engaged_time_inc":true'), {"_rescued": {"engaged_time_inc": "true"}}),
    "list for a whole number": (usual(b'"engaged_time_inc":[5]'), {"_rescued": {"engaged_time_inc": "[5]"}}),
    "object for a whole number": (
        usual(b'"engaged_time_inc":{"s":5}'),
        {"_rescued": {"engaged_time_inc": '{"s":5}'}},
    ),
    "number in quotes": (usual(b'"engaged_time_inc":" 7 "'), {"engaged_time_inc": 7}),
    "number in quotes with a plus": (usual(b'"engaged_time_inc":"+7"'), {"engaged_time_inc": 7}),
    "number in quotes with zeros": (usual(b'"engaged_time_inc":"007"'), {"engaged_time_inc": 7}),
    "number in quotes with a point": (usual(b'"engaged_time_inc":"7.0"'), {"engaged_time_inc": 7}),
    "number in quotes with an exponent": (usual(b'"engaged_time_inc":"1e3"'), {"engaged_time_inc": 1000}),
    "number in quotes in groups": (usual(b'"engaged_time_inc":"1_000"'), {"engaged_time_inc": 1000}),
    "number in quotes in groups of nothing": (
        usual(b'"engaged_time_inc":"_7__"'),
        {"_rescued": {"engaged_time_inc": "_7__"}},
    ),
    "underscore in quotes": (usual(b'"engaged_time_inc":"_"'), {"_rescued": {"engaged_time_inc": "_"}}),
    "number in quotes in Arabic digits": (
        usual('"engaged_time_inc":"\u0667"'.encode()),
        {"_rescued": {"engaged_time_inc": "\u0667"}},
    ),
    "hexadecimal in quotes": (usual(b'"engaged_time_inc":"0x10"'), {"_rescued": {"engaged_time_inc": "0x10"}}),
    "NaN in quotes for a whole number": (usual(b'"engaged_time_inc":"NaN"'), {"_rescued": {"engaged_time_inc": "NaN"}}),
    # fractions
    "whole number for a fraction": (usual(b'"ip_lat":4'), {"ip_lat": 4.0}),
    "fraction in quotes": (usual(b'"ip_lat":"52.5"'), {"ip_lat": 52.5}),
    "fraction of many digits": (usual(b'"ip_lat":52.50000000000000000000000001'), {"ip_lat": 52.5}),
    "fraction too small": (usual(b'"ip_lat":1e-400'), {"ip_lat": 0.0}),
    "fraction too great": (usual(b'"ip_lat":1e400'), {"_rescued": {"ip_lat": '"Infinity"'}}),
    "fraction too great in quotes": (usual(b'"ip_lat":"1e400"'), {"_rescued": {"ip_lat": "1e400"}}),
    "fraction with Java's letter": (usual(b'"ip_lat":"52.5d"'), {"_rescued": {"ip_lat": "52.5d"}}),
    "Infinity in quotes": (usual(b'"ip_lat":"-Infinity"'), {"_rescued": {"ip_lat": "-Infinity"}}),
    "NaN in quotes": (usual(b'"ip_lat":"NaN"'), {"_rescued": {"ip_lat": "NaN"}}),
    "text for a fraction": (usual(b'"ip_lat":"north"'), {"_rescued": {"ip_lat": "north"}}),
    "true for a fraction": (usual(b'"ip_lat":true'), {"_rescued": {"ip_lat": "true"}}),
    "list for a fraction": (usual(b'"ip_lat":[1.5]'), {"_rescued": {"ip_lat": "[1.5]"}}),
    # flags
    "text for a flag": (usual(b'"slot":"maybe"'), {"_rescued": {"slot": "maybe"}}),
    "flag in quotes": (usual(b'"slot":"FALSE"'), {"slot": False}),
    "1 for a flag": (usual(b'"slot":1'), {"slot": True}),
    "2 for a flag": (usual(b'"slot":2'), {"_rescued": {"slot": "2"}}),
    "list for a flag": (usual(b'"slot":[]'), {"_rescued": {"slot": "[]"}}),
    # lists
    "text for a list": (usual(b'"metadata_tags":"one"'), {"metadata_tags": ["one"]}),
    "number for a list": (usual(b'"metadata_tags":5'), {"metadata_tags": ["5"]}),
    "object for a list": (usual(b'"metadata_tags":{"a":1}'), {"_rescued": {"metadata_tags": '{"a":1}'}}),
    "no text for a list": (usual(b'"metadata_tags":""'), {"_rescued": {"metadata_tags": ""}}),
    "list of nothing": (usual(b'"metadata_tags":[]'), {"metadata_tags": []}),
    "list of everything": (
        usual(b'"metadata_tags":["a",5,null,["b"],{"c":1},true]'),
        {"metadata_tags": ["a", "5", None, '["b"]', '{"c":1}', "true"]},
    ),
    "list in quotes": (usual(rb'"metadata_tags":"[\"a\",\"b\"]"'), {"metadata_tags": ["a", "b"]}),
    "list in quotes and more": (
        usual(rb'"metadata_tags":"[\"a\"] and more"'),
        {"_rescued": {"metadata_tags": '["a"] and more'}},
    ),
    "text that looks like a list": (usual(b'"metadata_tags":"[draft"'), {"_rescued": {"metadata_tags": "[draft"}}),
    # texts
    "number for a text": (usual(b'"pageview_id":55667788'), {"pageview_id": "55667788"}),
    "true for a text": (usual(b'"url":true'), {"url": "true"}),
    "list for a text": (usual(b'"url":["a",1]'), {"url": '["a",1]'}),
    "object for a text": (usual(b'"metadata_custom_metadata":{"a":1}'), {"metadata_custom_metadata": '{"a":1}'}),
    "null for a text": (usual(b'"url":null'), {}),
    "no text": (usual(b'"url":""'), {"url": ""}),
    "JSON in a text": (
        usual(rb'"metadata_custom_metadata":"{\"a\": {\"b\": 1}} {"'),
        {"metadata_custom_metadata": '{"a": {"b": 1}} {'},
    ),
    "formula": (
        usual(rb'"metadata_title":"=HYPERLINK(\"https://evil.example\",\"x\")"'),
        {"metadata_title": '=HYPERLINK("https://evil.example","x")'},
    ),
    "formula behind a tab": (
        usual(rb'"metadata_title":"\t+cmd|\u0027 /C calc\u0027!A0"'),
        {"metadata_title": "\t+cmd|' /C calc'!A0"},
    ),
    "script": (
        usual(b'"metadata_title":"</script><img src=x onerror=alert(1)>","url":"javascript:alert(1)"'),
        {"metadata_title": "</script><img src=x onerror=alert(1)>", "url": "javascript:alert(1)"},
    ),
    "SQL": (usual(b'"action":"x\'; DROP TABLE events; --"'), {"action": "x'; DROP TABLE events; --"}),
    "template": (usual(b'"action":"${jndi:ldap://x} {0} %s"'), {"action": "${jndi:ldap://x} {0} %s"}),
    "text turned round": (usual('"url":"\u202egnp.exe"'.encode()), {"url": "\u202egnp.exe"}),
    "text of 1 MiB": (usual(b'"url":"' + b"x" * 2**20 + b'"'), {"url": "x" * 2**20}),
    "unknown text of 1 MiB": (usual(b'"brand_new":"' + b"x" * 2**20 + b'"'), {"_rescued": {"brand_new": "x" * 2**20}}),
    "list of 100,000": (usual(b'"metadata_tags":[' + b"1," * 99_999 + b"1]"), {"metadata_tags": ["1"] * 100_000}),
    # extra data: an object, kept as JSON text
    "extra data": (usual(b'"extra_data":{"a":{"b":[1,"}"]},"d":null}'), {"extra_data": '{"a":{"b":[1,"}"]},"d":null}'}),
    "extra data of nothing": (usual(b'"extra_data":{}'), {"extra_data": "{}"}),
    "extra data is null": (usual(b'"extra_data":null'), {}),
    "extra data with a name twice": (usual(b'"extra_data":{"a":1,"a":2}'), {"extra_data": '{"a":1,"a":2}'}),
    "extra data in quotes": (usual(rb'"extra_data":"{\"a\":1}"'), {"extra_data": '{"a":1}'}),
    "extra data is text": (usual(b'"extra_data":"premium"'), {"_rescued": {"extra_data": "premium"}}),
    "extra data is a list": (usual(b'"extra_data":[1,{"a":2}]'), {"_rescued": {"extra_data": '[1,{"a":2}]'}}),
    "extra data is a number": (usual(b'"extra_data":5'), {"_rescued": {"extra_data": "5"}}),
    "extra data is true": (usual(b'"extra_data":true'), {"_rescued": {"extra_data": "true"}}),
    "nesting 500 deep": (
        usual(b'"extra_data":' + b'{"a":' * 500 + b"1" + b"}" * 500),
        {"extra_data": '{"a":' * 500 + "1" + "}" * 500},
    ),
    "nesting just inside the limit": (
        usual(b'"extra_data":' + b'{"a":' * 998 + b"1" + b"}" * 998),
        {"extra_data": '{"a":' * 998 + "1" + "}" * 998},
    ),
    # identity: an event without an id is named by its line, without the carriage return of its end
    "no id": (of(SITE, TIME), {"event_id": "line:bec5bd742fccadbdc438b7a7471bbf50"}),
    "no id, carriage return": (of(SITE, TIME) + b"\r", {"event_id": "line:bec5bd742fccadbdc438b7a7471bbf50"}),
    "no id, two carriage returns": (of(SITE, TIME) + b"\r\r", {"event_id": "line:aab3bf875a2a5f3d222c5c5ea5dcb7b7"}),
    "no id, a space": (of(SITE, TIME) + b" ", {"event_id": "line:54bd5a213be8e9f6c9aeccdbde95539b"}),
    "no id, byte order mark": (
        b"\xef\xbb\xbf" + of(SITE, TIME),
        {"event_id": "line:47d56f8350a05f7b6367c4e271260d23"},
    ),
    "no id and a wrong type": (
        of(SITE, b'"timestamp_info_nginx_ms":"1768435199000"') + b"\r",
        {"event_id": "line:036704a9206ff0b5a5deaff9e073f4d8"},
    ),
    "id is null": (of(SITE, b'"event_id":null', TIME), {"event_id": "line:0070bb484aba22b8d01e979412806190"}),
    "id is empty": (of(SITE, b'"event_id":""', TIME), {"event_id": "line:875ef69456147083ed4f81dd5b38c1a9"}),
    "id is a number": (
        of(SITE, b'"event_id":123456789012345678901234567890', TIME),
        {"event_id": "123456789012345678901234567890"},
    ),
    "id is 0": (of(SITE, b'"event_id":0', TIME), {"event_id": "0"}),
    "id is false": (of(SITE, b'"event_id":false', TIME), {"event_id": "false"}),
    "id is an object": (of(SITE, b'"event_id":{"a":[1]}', TIME), {"event_id": '{"a":[1]}'}),
    "id is a list": (of(SITE, b'"event_id":[]', TIME), {"event_id": "[]"}),
    "id is a NUL": (of(SITE, rb'"event_id":"\u0000"', TIME), {"event_id": "\x00"}),
    "site is a number": (of(b'"apikey":5', ID, TIME), {"apikey": "5"}),
    "site is an object": (of(b'"apikey":{"a":1}', ID, TIME), {"apikey": '{"a":1}'}),
    "site is a path": (of(b'"apikey":"../../etc"', ID, TIME), {"apikey": "../../etc"}),
    # server time
    "server at the start of 2010": (
        at_server_time(b"1262304000000"),
        {"timestamp_info_nginx_ms": 1262304000000, "event_at": "2010-01-01 00:00:00.000"},
    ),
    "server a day ahead": (
        at_server_time(b"1768953600000"),
        {"timestamp_info_nginx_ms": 1768953600000, "event_at": "2026-01-21 00:00:00.000"},
    ),
    "server with milliseconds": (
        at_server_time(b"1768435199999"),
        {"timestamp_info_nginx_ms": 1768435199999, "event_at": "2026-01-14 23:59:59.999"},
    ),
    "server in quotes": (at_server_time(b'"1768435199000"'), {}),
    "server in quotes in groups": (at_server_time(b'"1_768_435_199_000"'), {}),
    "server with a point": (at_server_time(b"1768435199000.0"), {}),
    "server with an exponent": (at_server_time(b"1.768435199e12"), {}),
    "server is text, action serves": (
        at_server_time(b'"yesterday"', b'"ts_action":"2026-01-14 23:30:00"'),
        {
            "timestamp_info_nginx_ms": None,
            "ts_action": "2026-01-14 23:30:00",
            "event_at": "2026-01-14 23:30:00.000",
            "_rescued": {"timestamp_info_nginx_ms": "yesterday"},
        },
    ),
    "server beyond 64 bits, action serves": (
        at_server_time(b"9223372036854775808", b'"ts_action":"2026-01-14 23:30:00"'),
        {
            "timestamp_info_nginx_ms": None,
            "ts_action": "2026-01-14 23:30:00",
            "event_at": "2026-01-14 23:30:00.000",
            "_rescued": {"timestamp_info_nginx_ms": "9223372036854775808"},
        },
    ),
    "only an action": (
        only_acted_at(b"2026-01-14 23:30:00"),
        {
            "timestamp_info_nginx_ms": None,
            "ts_action": "2026-01-14 23:30:00",
            "event_at": "2026-01-14 23:30:00.000",
        },
    ),
    "only an action at the start of 2010": (
        only_acted_at(b"2010-01-01 00:00:00"),
        {
            "timestamp_info_nginx_ms": None,
            "ts_action": "2010-01-01 00:00:00",
            "event_at": "2010-01-01 00:00:00.000",
        },
    ),
    "only an action a day ahead": (
        only_acted_at(b"2026-01-21 00:00:00"),
        {
            "timestamp_info_nginx_ms": None,
            "ts_action": "2026-01-21 00:00:00",
            "event_at": "2026-01-21 00:00:00.000",
        },
    ),
    # time of the action
    **{
        f"action at {given}": (acted_at(given.encode()), {"ts_action": given, "event_at": at})
        for given, at in {
            "2026-01-14 23:30:00": "2026-01-14 23:30:00.000",
            "2026-01-07 23:59:59": "2026-01-07 23:59:59.000",  # 7 days before the server
            "2026-01-07 23:59:58": "2026-01-14 23:59:59.000",
            "2026-01-15 00:59:59": "2026-01-15 00:59:59.000",  # 1 hour after it
            "2026-01-15 01:00:00": "2026-01-14 23:59:59.000",
            "9999-12-31 23:59:59": "2026-01-14 23:59:59.000",
            "9999-12-31 23:59:59-18:00": "2026-01-14 23:59:59.000",
            "0001-01-01 00:00:00": "2026-01-14 23:59:59.000",
            "1970-01-01 00:00:00": "2026-01-14 23:59:59.000",
            # other ways to write an instant that leave no doubt
            "2026-01-14T23:30:00": "2026-01-14 23:30:00.000",
            "2026-01-14 23:30:00Z": "2026-01-14 23:30:00.000",
            "2026-01-14T23:30:00.250Z": "2026-01-14 23:30:00.250",
            "2026-01-14 15:30:00-08:00": "2026-01-14 23:30:00.000",
            "2026-01-15T01:30:00+0200": "2026-01-14 23:30:00.000",
            # no times
            "": "2026-01-14 23:59:59.000",
            "yesterday": "2026-01-14 23:59:59.000",
            "2026-01-14": "2026-01-14 23:59:59.000",
            "23:30:00": "2026-01-14 23:59:59.000",
            "1768433400000": "2026-01-14 23:59:59.000",
            "14/01/2026 23:30:00": "2026-01-14 23:59:59.000",
            "2026-1-14 23:30:00": "2026-01-14 23:59:59.000",
            "2026-02-30 00:00:00": "2026-01-14 23:59:59.000",
            "2026-01-14 24:00:00": "2026-01-14 23:59:59.000",
            "2026-01-14 23:30:60": "2026-01-14 23:59:59.000",
            "2026-13-14 23:30:00": "2026-01-14 23:59:59.000",
            "0000-00-00 00:00:00": "2026-01-14 23:59:59.000",
            "-2026-01-14 23:30:00": "2026-01-14 23:59:59.000",
            "+294247-01-10 04:00:54": "2026-01-14 23:59:59.000",
            "2026-01-14 23:30:00+25:00": "2026-01-14 23:59:59.000",
            "2026-01-15 12:30:00 N": "2026-01-14 23:59:59.000",  # with a Z behind it, New Zealand's time
            "2026-01-14 23:30:00 Europe/Berlin": "2026-01-14 23:59:59.000",
            "2026-01-14 23:30:00; and more": "2026-01-14 23:59:59.000",
            "\uff12\uff10\uff12\uff16-01-14 23:30:00": "2026-01-14 23:59:59.000",  # wide digits
        }.items()
    },
    "action is a number": (usual(b'"ts_action":1768433400000'), {"ts_action": "1768433400000"}),
    "action is an object": (usual(b'"ts_action":{"at":1}'), {"ts_action": '{"at":1}'}),
    # sessions
    "session": (in_session(), session_of("a.example_3_v_1768435198000")),
    "session 48 hours before": (
        in_session(start=b"1768262399000"),
        session_of("a.example_3_v_1768262399000", session_timestamp=1768262399000),
    ),
    "session 48 hours and 1 ms before": (
        in_session(start=b"1768262398999"),
        session_of("a.example_3_v_1768262398999_2026-01-14", session_timestamp=1768262398999),
    ),
    "session 1 hour after": (
        in_session(start=b"1768438799000"),
        session_of("a.example_3_v_1768438799000", session_timestamp=1768438799000),
    ),
    "session 1 hour and 1 ms after": (
        in_session(start=b"1768438799001"),
        session_of("a.example_3_v_1768438799001_2026-01-14", session_timestamp=1768438799001),
    ),
    "session in seconds": (
        in_session(start=b"1768435198"),
        session_of("a.example_3_v_1768435198_2026-01-14", session_timestamp=1768435198),
    ),
    "session at 1": (in_session(start=b"1"), session_of("a.example_3_v_1_2026-01-14", session_timestamp=1)),
    "session at 0": (in_session(start=b"0"), session_of(None, session_timestamp=0)),
    "session before 1970": (in_session(start=b"-1"), session_of(None, session_timestamp=-1)),
    "session at the least number": (
        in_session(start=b"-9223372036854775808"),
        session_of(None, session_timestamp=-(2**63)),
    ),
    "session at the greatest number": (
        in_session(start=b"9223372036854775807"),
        session_of("a.example_3_v_9223372036854775807_2026-01-14", session_timestamp=2**63 - 1),
    ),
    "session beyond 64 bits": (
        in_session(start=b"9223372036854775808"),
        session_of(None, session_timestamp=None, _rescued={"session_timestamp": "9223372036854775808"}),
    ),
    "session in quotes": (in_session(start=b'"1768435198000"'), session_of("a.example_3_v_1768435198000")),
    "session start is text": (
        in_session(start=b'"today"'),
        session_of(None, session_timestamp=None, _rescued={"session_timestamp": "today"}),
    ),
    "session start is null": (in_session(start=b"null"), session_of(None, session_timestamp=None)),
    "session id is 0": (in_session(number=b"0"), session_of("a.example_0_v_1768435198000", session_id=0)),
    "session id is negative": (in_session(number=b"-3"), session_of("a.example_-3_v_1768435198000", session_id=-3)),
    "session id is text": (
        in_session(number=b'"three"'),
        session_of(None, session_id=None, _rescued={"session_id": "three"}),
    ),
    "session id is null": (in_session(number=b"null"), session_of(None, session_id=None)),
    "session is false": (in_session(session=b"false"), session_of(None, session=False)),
    "session is false in quotes": (in_session(session=b'"False"'), session_of(None, session=False)),
    "session is 0": (in_session(session=b"0"), session_of(None, session=False)),
    "session is 0 in quotes": (in_session(session=b'"0"'), session_of(None, session=False)),
    "session is 1": (in_session(session=b"1"), session_of("a.example_3_v_1768435198000")),
    "session is null": (in_session(session=b"null"), session_of("a.example_3_v_1768435198000", session=None)),
    "session is a word": (
        in_session(session=b'"maybe"'),
        session_of("a.example_3_v_1768435198000", session=None, _rescued={"session": "maybe"}),
    ),
    # visitors who are nobody, and some who are not
    "visitor is null": (in_session(visitor=b"null"), session_of(None, visitor_site_id=None)),
    "visitor is empty": (in_session(visitor=b'""'), session_of(None, visitor_site_id="")),
    "visitor opted out": (in_session(visitor=b'"OPTOUT"'), session_of(None, visitor_site_id="OPTOUT")),
    "visitor is all zeros": (
        in_session(visitor=b'"00000000-0000-0000-0000-000000000000"'),
        session_of(None, visitor_site_id="00000000-0000-0000-0000-000000000000"),
    ),
    "visitor opted out in small letters": (
        in_session(visitor=b'"optout"'),
        session_of("a.example_3_optout_1768435198000", visitor_site_id="optout"),
    ),
    "visitor is a space": (in_session(visitor=b'" "'), session_of("a.example_3_ _1768435198000", visitor_site_id=" ")),
    "visitor is a number": (in_session(visitor=b"0"), session_of("a.example_3_0_1768435198000", visitor_site_id="0")),
    "visitor with underscores": (
        in_session(visitor=b'"v_1768435198000"'),
        session_of("a.example_3_v_1768435198000_1768435198000", visitor_site_id="v_1768435198000"),
    ),
    "visitor beyond ASCII": (
        in_session(visitor='"vß🦉"'.encode()),
        session_of("a.example_3_vß🦉_1768435198000", visitor_site_id="vß🦉"),
    ),
}

_ONE_FORM = "It believes the form YYYY-MM-DD HH:MM:SS only, which is all that Parse.ly has sent."
_AS_DIGITS = "It takes a number in quotes only as digits."

# Where the oracle judges otherwise than is written here and may, and why.
THE_ORACLE_DIFFERS = {
    "number of 1,200 digits": "Python reads numbers of any length up to 4,300 digits.",
    "name of 60,000 letters": "Python reads names of any length.",
    "whole number with a point beyond 53 bits": "It believes a number with a point to its last digit.",
    "number in quotes with a point": _AS_DIGITS,
    "number in quotes with an exponent": _AS_DIGITS,
    "action at 2026-01-14T23:30:00": _ONE_FORM,
    "action at 2026-01-14 23:30:00Z": _ONE_FORM,
    "action at 2026-01-14T23:30:00.250Z": _ONE_FORM,
    "action at 2026-01-14 15:30:00-08:00": _ONE_FORM,
    "action at 2026-01-15T01:30:00+0200": _ONE_FORM,
}

# Of these it is not asked: how deep Python's parser goes depends on its version, and on how deep its caller is.
NOT_FOR_THE_ORACLE = (
    "nesting just inside the limit",
    "nesting 1,500 deep",
    "nesting 1,500 deep in a field that nobody reads",
)


def _all() -> dict[str, tuple[bytes, str | dict[str, Any]]]:
    """Every line with its outcome: blank, a reason, or the fields that are not null."""
    lines: dict[str, tuple[bytes, str | dict[str, Any]]] = {}
    for name, content in BLANK.items():
        lines[name] = (content, "blank")
    for reason, refused in REFUSED.items():
        for name, content in refused.items():
            lines[name] = (content, reason)
    for name, (content, values) in EVENTS.items():
        wanted = USUAL | values
        at = wanted["event_at"]
        wanted |= {"date": at[:10], "hour": int(at[11:13])}
        lines[name] = (content, {field: value for field, value in wanted.items() if value is not None})
    return lines


HOSTILE_LINES = _all()
