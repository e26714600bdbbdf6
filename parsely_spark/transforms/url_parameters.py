r"""Parameters taken out of the URLs in a text, by search: a URL may be all of it, in a JSON text, or in another URL.

A parameter is its name in any case, an equals sign and a value, after a sign that no name goes on with. Each sign of
it may be written with percent signs, also several times over (``%253D``), or as JSON escapes it (``\u003d``). In doubt
more is taken out than was asked for. A URL without such a parameter stays byte for byte as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import Column

_PERCENT = r"(?:%|\\+u0025)(?:25)*+"
_ENDS_VALUE = r"(?:%2[36]|\\+u002[36])"  # & and #, in a URL that is a parameter of another


def _sign(codes: str) -> str:
    """Pattern of the signs with these *codes* (a pattern of two hexadecimal digits), written otherwise."""
    return rf"(?:{_PERCENT}(?:{codes})|\\+u00(?:{codes}))"


_EQUALS = rf"(?:=|{_sign('3d')})"


def without_parameters(text: Column, names: Sequence[str]) -> Column:
    """*text*, which is a URL, a part of one or any other text, without the parameters *names*."""
    return _without(text, tuple(names), is_json=False)


def without_parameters_of_json(text: Column, names: Sequence[str]) -> Column:
    """*text*, which is JSON, without the parameters *names* of the URLs in it; what is left is JSON, too."""
    return _without(text, tuple(names), is_json=True)


def may_hold_parameters(text: Column, names: Sequence[str]) -> Column:
    """Whether *text* holds a name of *names* before an equals sign, wherever.

    The search for it tries every letter that a name begins with, so first comes what is quick and nearly always false.
    """
    lower = F.lower(text)
    plain = reduce(or_, (F.contains(lower, F.lit(name.lower())) for name in names))
    letters = {byte for name in names for case in (name.lower(), name.upper()) for byte in case.encode()}
    codes = "|".join(f"{byte:02x}" for byte in sorted(letters))
    is_likely = plain | text.rlike(rf"(?i){_PERCENT}(?:{codes})|\\u")
    return is_likely & text.rlike(f"(?i){_any_of(tuple(names))}")


def _without(text: Column, names: tuple[str, ...], *, is_json: bool) -> Column:
    for found in _patterns(names, is_json):
        text = F.regexp_replace(text, found, "$1$2")
    return text


@cache
def _patterns(names: tuple[str, ...], is_json: bool) -> tuple[str, str]:
    """Two patterns, for parameters of a URL as it is and of one that is written otherwise; $1$2 is what stays."""
    # A backslash in JSON belongs to the next sign, which may be a quote.
    start, end, backslash = ('(?<=")', '"', r"\\.") if is_json else ("^", "", r"\\")
    plain = _Signs(
        begins=f"(?:[?#]|{start})",
        separates="[&;]",
        # A name goes on with these. In a path, a semicolon begins parameters that end with the path.
        comes_after=r"(?<![\w.~%-])",
        value=rf"(?:[^&#{end}\\]++|{backslash})*+",
    )
    # Of a URL in a URL in a URL, this takes the rest of the innermost one.
    coded_value = rf"(?:[^&#%{end}\\]++|(?!{_ENDS_VALUE})(?:%|{backslash}))*+"
    coded = _Signs(
        begins=_sign("3f|23"),
        separates=_sign("26|3b"),
        comes_after=rf"(?:{_sign('2[0-9a-f]|3[a-f]')}|\\[bfnrt])",
        value=coded_value,
    )
    in_path = rf";{_any_of(names)}[^&#;?/{end}\\]*+(?=[?/])"
    return f"(?is){in_path}|{plain.pattern(names)}", f"(?is){coded.pattern(names)}"


@dataclass(frozen=True, kw_only=True)
class _Signs:
    """Patterns of what makes up a query."""

    begins: str
    separates: str
    comes_after: str  # what else a parameter may stand behind; it stays
    value: str

    def pattern(self, names: tuple[str, ...]) -> str:
        one = f"{_any_of(names)}{self.value}"
        some = rf"(?:{one}{self.separates})"
        return "|".join(
            (
                # others follow
                rf"({self.begins}){some}++(?!{one})",
                # none follows, and none was before; then what begins the query goes, too
                rf"{self.begins}{some}*+{one}",
                rf"(?:{self.separates}{one})++",
                rf"({self.comes_after}){one}(?:{self.separates}{one})*+",
            )
        )


@cache
def _any_of(names: tuple[str, ...]) -> str:
    """Pattern of one of *names* and the equals sign behind it; what was found is found in no second way."""
    return f"(?>(?:{'|'.join(''.join(map(_letter, name)) for name in names)}){_EQUALS})"


def _letter(letter: str) -> str:
    """Pattern of a *letter* of a name, however it is written; the pattern's flag sees to the case of plain ASCII."""
    cases = sorted({letter, *(case for case in (letter.lower(), letter.upper()) if len(case) == 1)})
    plain = cases[-1:] if letter.isascii() else cases
    percent = (_PERCENT.join(["", *(f"{byte:02x}" for byte in case.encode())]) for case in cases)
    escaped = (re.sub("(....)", r"\\\\+u\1", case.encode("utf-16-be").hex()) for case in cases)
    return f"(?:{'|'.join((*map(re.escape, plain), *percent, *escaped))})"
