"""HTML and SVG that are safe by construction: a page is a tree of elements, never a text that is put together.

What stands in events is not to be trusted. A text can only become the text of an element or the value of an attribute
here, and is escaped when the tree is written; the attributes through which a text could act are refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

Element = ElementTree.Element
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Content = Element | str | None | Sequence["Content"]

_ATTRIBUTE = re.compile(r"(?!on)[a-z][a-zA-Z0-9-]*")
_ACTING = frozenset(("src", "srcset", "srcdoc", "style", "action", "formaction", "data", "ping", "background"))
_ACTIVE = frozenset(("script", "style", "iframe", "object", "embed", "base", "link", "template", "foreignObject"))
# A web address, as a browser reads it: it leaves out white space and control characters, which may hide a scheme.
_WEB = re.compile(r"https?://[^\s\x00-\x20\x7f\"<>\\^`{|}]+", re.IGNORECASE)
# Control characters, halves of pairs, and those that turn the direction of the text around them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff]"
)


def h(tag: str, attributes: Mapping[str, object] | None = None, *content: Content) -> Element:
    """An element.

    Args:
        tag: its name.
        attributes: by name; what is None or False is left out.
        content: texts and elements, in lists or not; None is nothing.

    Raises:
        ValueError: if it would be more than something to look at.
    """
    if tag in _ACTIVE:
        raise ValueError(f"<{tag}> does more than show something; a report has none.")
    element = ElementTree.Element(tag)
    for name, value in (attributes or {}).items():
        if value is None or value is False:
            continue
        if name in _ACTING or not _ATTRIBUTE.fullmatch(name):
            raise ValueError(f"{name} of <{tag}> does more than show something; a report has none.")
        text = plain(str(value))
        if name == "href" and not (text.startswith("#") or is_web(text)):
            raise ValueError(f"href={text!r} is neither a place of the page nor a web address.")
        element.set(name, text)
    _fill(element, content)
    return element


def _fill(element: Element, content: Content | tuple[Content, ...]) -> None:
    if content is None:
        return
    if isinstance(content, str):
        if len(element):
            element[-1].tail = (element[-1].tail or "") + plain(content)
        else:
            element.text = (element.text or "") + plain(content)
    elif isinstance(content, ElementTree.Element):
        element.append(content)
    else:
        for one in content:
            _fill(element, one)


def stylesheet(css: str) -> Element:
    """The style of the page, which is a text of this package and holds nothing of an event."""
    element = ElementTree.Element("style")
    if "</" in css:
        raise ValueError("a style sheet has no </ in it.")
    element.text = css
    return element


def link(to: str | None, *content: Content) -> Element:
    """A link to a web address; for any other address the content alone."""
    if to is None or not is_web(to):
        return h("span", {}, *content)
    return h("a", {"href": to}, *content)


def is_web(address: str) -> bool:
    """Whether *address* is one of the web, and nothing that a browser would run."""
    return _WEB.fullmatch(address) is not None


def plain(text: str) -> str:
    """*text* with a mark in the place of each character that is not seen but does something."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def written(element: Element) -> str:
    """The HTML of *element*."""
    return ElementTree.tostring(element, encoding="unicode", method="html")
