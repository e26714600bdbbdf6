"""Values that single a visitor out, cut down to what many share; null for what a rule does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = rf"^(?i:::ffff:)?({_OCTET}\.{_OCTET}\.{_OCTET})\.{_OCTET}\z"
_GROUP = "[0-9a-f]{1,4}"
_WHOLE_IPV6 = rf"^(?:{_GROUP}:){{7}}{_GROUP}\z"
_SHORT_IPV6 = rf"^(?:{_GROUP}(?::{_GROUP})*)?::(?:{_GROUP}(?::{_GROUP})*)?\z"
_GROUPS = 8
_NETWORK_GROUPS = 3  # 48 bits

# A platform by the first of these that is in the text: what a later one would find may be in an earlier one's, too.
_PLATFORMS = {
    "iPad": "iPad",
    "iPhone": "iPhone",
    "iPod": "iPhone",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "CrOS",
    "Macintosh": "Macintosh",
    "Mac OS X": "Macintosh",
    "Linux": "Linux",
}
# Products that many visitors use, by the names that ua-parser tells browsers by.
_PRODUCTS = (
    *("AppleWebKit", "Chrome", "Chromium", "CriOS", "Edg", "EdgA", "EdgiOS", "Edge", "FBAV", "Firefox", "FxiOS"),
    *("Gecko", "GSA", "Instagram", "OPR", "OPT", "OPiOS", "Opera", "Safari", "SamsungBrowser", "Silk", "Trident"),
    *("UCBrowser", "Version", "Vivaldi", "YaBrowser"),
)
_PRODUCT = rf"(?<![\w./-])(?:(?:{'|'.join(_PRODUCTS)})/\d{{1,3}}(?!\d)|Mobile|Tablet)(?![a-zA-Z])"


def truncated_address(text: Column) -> Column:
    """The network of an IP address: the first 24 bits of IPv4, 48 of IPv6, as the address that they begin.

    As in Google Analytics (https://support.google.com/analytics/answer/2763052), which sets the last octet and the
    last 80 bits to zero. What is no address is null, also the hash that Parse.ly sends where a site does not track
    addresses: it singles out as well as one, and no part of it stands for a network.
    """
    address = F.lower(text)
    groups = F.regexp_count(address, F.lit(_GROUP))
    is_ipv6 = address.rlike(_WHOLE_IPV6) | (address.rlike(_SHORT_IPV6) & (groups < _GROUPS))
    zeros = F.concat(F.lit(":"), F.repeat(F.lit("0:"), _GROUPS - groups))
    whole = F.ltrim(F.replace(address, F.lit("::"), zeros), F.lit(":"))
    network = F.regexp_replace(F.substring_index(whole, ":", _NETWORK_GROUPS), r"\b0+(?=[0-9a-f])", "")
    network_of_ipv6 = F.concat(F.regexp_replace(network, r"(?:(?:^|:)0)+\z", ""), F.lit("::"))
    network_of_ipv4 = F.concat(F.regexp_extract(text, _IPV4, 1), F.lit(".0"))
    holds_ipv4 = network_of_ipv6.startswith("2002:")  # 6to4, of which 48 bits are all of an IPv4 address
    return F.when(text.rlike(_IPV4), network_of_ipv4).when(is_ipv6 & ~holds_ipv4, network_of_ipv6)


def truncated_user_agent(text: Column) -> Column:
    """What a User-Agent says of browser, major version and platform, in the form of a User-Agent.

    By the rule of Chrome's User-Agent Reduction (https://www.chromium.org/updates/ua-reduction): a version is
    MAJOR.0.0.0, and neither the device nor the version of its system is told. What stays is listed here, and all else
    goes: in-app browsers also name the device, its operator and its language, in forms of their own.
    """
    platform = F.coalesce(*[F.when(F.contains(text, F.lit(word)), name) for word, name in _PLATFORMS.items()])
    products = F.transform(
        F.regexp_extract_all(text, F.lit(_PRODUCT), F.lit(0)),
        lambda product: F.when(F.contains(product, F.lit("/")), F.concat(product, F.lit(".0.0.0"))).otherwise(product),
    )
    said = F.concat_ws(" ", F.concat(F.lit("("), platform, F.lit(")")), F.array_distinct(products))
    return F.when(said != "", F.concat(F.lit("Mozilla/5.0 "), said))


def major_version(text: Column) -> Column:
    """The first number of a version, 12 of 12.5.7."""
    return F.nullif(F.regexp_extract(text, r"^(\d{1,3})(?!\d)", 1), F.lit(""))
