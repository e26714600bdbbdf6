"""The machines that send events: their user agents, what Parse.ly reads from them, their screens."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from .fragments import fragment

_SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko)"
_WINDOWS = "Windows NT 10.0; Win64; x64"

NO_DISPLAY: Final = fragment(
    {
        "display": False,
        "display_avail_height": None,
        "display_avail_width": None,
        "display_pixel_depth": None,
        "display_total_height": None,
        "display_total_width": None,
    }
)


@dataclass(frozen=True, slots=True)
class Device:
    """One kind of machine; ``screens`` are (width, height) in px, empty when it sends none."""

    weight: int
    user_agent: str
    browser: str
    browser_version: str
    os: str
    os_version: str
    kind: str
    family: str
    brand: str | None
    model: str | None
    screens: tuple[tuple[int, int], ...]

    def fragments(self, rng: random.Random) -> str:
        """Write ``user_agent``, ``ua_*`` and ``display_*`` of one such machine."""
        agent = {
            "ua_browser": self.browser,
            "ua_browserversion": self.browser_version,
            "ua_device": self.family,
            "ua_devicebrand": self.brand,
            "ua_devicemodel": self.model,
            "ua_devicetouchcapable": self.kind in ("mobile", "tablet"),
            "ua_devicetype": self.kind,
            "ua_os": self.os,
            "ua_osversion": self.os_version,
            "user_agent": self.user_agent,
        }
        return f"{_display(rng.choice(self.screens)) if self.screens else NO_DISPLAY},{fragment(agent)}"


def _display(screen: tuple[int, int]) -> str:
    width, height = screen
    return fragment(
        {
            "display": True,
            "display_avail_height": height - 40 if width > height else height,
            "display_avail_width": width,
            "display_pixel_depth": 24 if width > height else 32,
            "display_total_height": height,
            "display_total_width": width,
        }
    )


_DESKTOPS = ((1920, 1080), (1536, 864), (2560, 1440), (1366, 768))
_MACS = ((1440, 900), (1728, 1117), (1512, 982))
_IPHONE, _IPAD = ("iPhone", "Apple", "iPhone"), ("iPad", "Apple", "iPad")
_PC, _MAC = ("Other", None, None), ("Mac", "Apple", "Mac")
_GENERIC, _SAMSUNG = (
    ("Generic Smartphone", "Generic", "Smartphone"),
    ("Samsung SM-S921B", "Samsung", "SM-S921B"),
)
_IPHONES, _PHONES = ((390, 844), (393, 852), (430, 932)), ((412, 915), (360, 800), (384, 832))

BROWSERS: Final = (
    Device(24, f"Mozilla/5.0 ({_WINDOWS}) {_CHROME} Chrome/143.0.0.0 Safari/537.36",
           "Chrome", "143.0.0", "Windows", "10", "desktop", *_PC, _DESKTOPS),
    Device(4, f"Mozilla/5.0 ({_WINDOWS}) {_CHROME} Chrome/141.0.0.0 Safari/537.36",
           "Chrome", "141.0.0", "Windows", "10", "desktop", *_PC, _DESKTOPS),
    Device(6, f"Mozilla/5.0 ({_WINDOWS}) {_CHROME} Chrome/143.0.0.0 Safari/537.36 Edg/143.0.0.0",
           "Edge", "143.0.0", "Windows", "10", "desktop", *_PC, _DESKTOPS),
    Device(4, f"Mozilla/5.0 ({_WINDOWS}; rv:146.0) Gecko/20100101 Firefox/146.0",
           "Firefox", "146.0", "Windows", "10", "desktop", *_PC, _DESKTOPS),
    Device(1, "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
           "Firefox", "145.0", "Ubuntu", "", "desktop", *_PC, _DESKTOPS),
    Device(7, f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_CHROME} Chrome/143.0.0.0 Safari/537.36",
           "Chrome", "143.0.0", "Mac OS X", "10.15.7", "desktop", *_MAC, _MACS),
    Device(7, f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_SAFARI} Version/18.6 Safari/605.1.15",
           "Safari", "18.6", "Mac OS X", "10.15.7", "desktop", *_MAC, _MACS),
    Device(18, f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) {_SAFARI} "
           "Version/18.6 Mobile/15E148 Safari/604.1",
           "Mobile Safari", "18.6", "iOS", "18.6", "mobile", *_IPHONE, _IPHONES),
    Device(5, f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_7 like Mac OS X) {_SAFARI} "
           "Version/17.6 Mobile/15E148 Safari/604.1",
           "Mobile Safari", "17.6", "iOS", "17.7", "mobile", *_IPHONE, _IPHONES),
    Device(3, f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {_SAFARI} Mobile/15E148 "
           "[FBAN/FBIOS;FBAV/520.0.0.38.101;FBBV/756351453;FBDV/iPhone15,3;FBMD/iPhone;FBSN/iOS;FBSV/18.5]",
           "Facebook", "520.0.0", "iOS", "18.5", "mobile", *_IPHONE, _IPHONES),
    Device(15, f"Mozilla/5.0 (Linux; Android 10; K) {_CHROME} Chrome/143.0.0.0 Mobile Safari/537.36",
           "Chrome Mobile", "143.0.0", "Android", "10", "mobile", *_GENERIC, _PHONES),
    Device(4, f"Mozilla/5.0 (Linux; Android 15; SM-S921B) {_CHROME} SamsungBrowser/29.0 "
           "Chrome/136.0.0.0 Mobile Safari/537.36",
           "Samsung Internet", "29.0", "Android", "15", "mobile", *_SAMSUNG, _PHONES),
    Device(2, f"Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) {_SAFARI} "
           "Version/18.6 Mobile/15E148 Safari/604.1",
           "Mobile Safari", "18.6", "iOS", "18.6", "tablet", *_IPAD, ((820, 1180), (1024, 1366))),
)  # fmt: skip

_DALVIK = "Dalvik/2.1.0 (Linux; U; Android"
ANDROID_APPS: Final = (
    Device(3, f"{_DALVIK} 15; Pixel 8 Build/AP4A.250205.002)", "Android", "15", "Android", "15", "mobile",
           "Pixel 8", "Google", "Pixel 8", ()),
    Device(2, f"{_DALVIK} 14; SM-A546B Build/UP1A.231005.007)", "Android", "14", "Android", "14", "mobile",
           "Samsung SM-A546B", "Samsung", "SM-A546B", ()),
    Device(1, f"{_DALVIK} 13; SM-X200 Build/TP1A.220624.014)", "Android", "13", "Android", "13", "tablet",
           "Samsung SM-X200", "Samsung", "SM-X200", ()),
)  # fmt: skip

IOS_APPS: Final = (
    Device(3, "Reader/7.4.1 (com.example.reader; build:2031; iOS 18.6.0) Alamofire/5.9.1",
           "Mobile Safari UI/WKWebView", "", "iOS", "18.6", "mobile", *_IPHONE, ()),
    Device(1, "Reader/7.2.0 CFNetwork/1498.700.2 Darwin/23.6.0",
           "CFNetwork", "1498.700.2", "iOS", "17.6", "mobile", "iOS-Device", "Apple", "iOS-Device", ()),
)  # fmt: skip

_SPIDER, _NEXUS = ("Spider", "Spider", "Desktop"), ("Nexus 5X", "LG", "Nexus 5X")
BOTS: Final = (
    Device(5, "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; "
           "Googlebot/2.1; +http://www.google.com/bot.html) Chrome/142.0.7444.175 Safari/537.36",
           "Googlebot", "2.1", "Other", "", "other", *_SPIDER, ((1024, 1024),)),
    Device(2, f"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) {_CHROME} Chrome/142.0.7444.175 "
           "Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
           "Chrome Mobile", "142.0.7444", "Android", "6.0.1", "mobile", *_NEXUS, ((412, 732),)),
    Device(2, "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; "
           "bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/136.0.0.0 Safari/537.36",
           "bingbot", "2.0", "Other", "", "other", *_SPIDER, ()),
    Device(1, f"Mozilla/5.0 (X11; Linux x86_64) {_CHROME} "
           "HeadlessChrome/140.0.0.0 Safari/537.36",
           "HeadlessChrome", "140.0.0", "Linux", "", "desktop", *_PC, ((800, 600),)),
)  # fmt: skip


def pick_device(rng: random.Random, devices: tuple[Device, ...]) -> Device:
    """Draw one of *devices* by weight."""
    return rng.choices(devices, weights=[device.weight for device in devices])[0]
