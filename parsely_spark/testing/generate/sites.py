"""The four generated sites: posts, videos and front pages, with the metadata that Parse.ly joins to them."""

from __future__ import annotations

import random
import re
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import accumulate
from typing import Final

from . import words
from .fragments import NO_METADATA, metadata, to_json

DAY: Final = 86_400
HOUR: Final = 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A page of a site and the metadata fragments that its events carry."""

    url: str
    published_s: int  # epoch seconds; nobody sees the page before
    metadata: str
    edited_s: int | None = None  # from then on the title and the section are the edited ones
    metadata_edited: str = NO_METADATA
    metadata_android: str = NO_METADATA  # the Android SDK sends seconds, the web milliseconds

    def metadata_at(self, second: float) -> str:
        """Give the metadata that an event of this *second* carries."""
        return self.metadata_edited if self.edited_s is not None and second >= self.edited_s else self.metadata


@dataclass(frozen=True, kw_only=True, slots=True)
class Video:
    """A video that plays on pages of a site; its events carry its own metadata, not that of the page."""

    duration_s: int
    metadata: str
    metadata_android: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """What makes one site different from the others."""

    domain: str
    posts: int
    video_share: float  # share of pageviews that start a video
    voice: words.Voice
    single_page_app: bool = False
    hides_ip: bool = False
    joins_heartbeats: float = 0.75  # share of pageviews whose heartbeats carry metadata


PROFILES: Final = (
    Profile(domain="news.example", posts=420, video_share=0.03, voice=words.NEWS),
    Profile(domain="sports.example", posts=260, video_share=0.05, voice=words.SPORTS, single_page_app=True),
    Profile(
        domain="zeitung.example", posts=150, video_share=0.02, voice=words.ZEITUNG, hides_ip=True,
        joins_heartbeats=0.0,
    ),
    Profile(domain="cooking.example", posts=90, video_share=0.16, voice=words.COOKING),
)  # fmt: skip
SITE_WEIGHTS: Final = (54, 80, 93, 100)  # cumulative, in the order of PROFILES


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """One ``apikey`` with its content, posts in order of popularity."""

    profile: Profile
    home: Page
    fronts: tuple[Page, ...]
    posts: tuple[Page, ...]
    popularity: tuple[float, ...]  # cumulative Zipf weights of posts
    videos: tuple[Video, ...]

    def pick_post(self, rng: random.Random, second: float) -> Page:
        """Draw a post by popularity among those published by *second*."""
        for _ in range(8):
            post = self.posts[bisect(self.popularity, rng.random() * self.popularity[-1])]
            if post.published_s <= second:
                return post
        return self.home


@lru_cache(maxsize=2)
def build_sites(seed: int, start_s: int, hours: int) -> tuple[Site, ...]:
    """Write the content of all sites; the same arguments give the same content in every process."""
    chances = (random.Random(f"{seed}/{profile.domain}") for profile in PROFILES)
    return tuple(_site(rng, profile, start_s, hours) for rng, profile in zip(chances, PROFILES, strict=True))


def _site(rng: random.Random, profile: Profile, start_s: int, hours: int) -> Site:
    posts = tuple(_post(rng, profile, rank, start_s, hours) for rank in range(profile.posts))
    sections = profile.voice.sections
    return Site(
        profile=profile,
        home=_front(profile, "", profile.domain.partition(".")[0].title()),
        fronts=tuple(_front(profile, f"{_slug(section)}/", section) for section in sections if section),
        posts=posts,
        popularity=tuple(accumulate((rank + 1.5) ** -1.1 for rank in range(profile.posts))),
        videos=tuple(_video(rng, profile, start_s) for _ in range(12)),
    )


def _post(rng: random.Random, profile: Profile, rank: int, start_s: int, hours: int) -> Page:
    # Every sixth post, the very popular ones included, is published while the events run.
    if rank % 6 == 2:
        published_s = start_s + int(rng.random() * hours * HOUR * 0.9)
    else:
        published_s = start_s - int(rng.expovariate(1 / (9 * DAY))) - rng.randrange(6 * HOUR)
    title = _title(rng, profile.voice)
    when = datetime.fromtimestamp(published_s, tz=UTC)
    number = rng.randrange(10_000, 99_999)
    fields = _post_fields(rng, profile, title, f"{when:%Y/%m/%d}/{_slug(title)}-{number}/")
    image = f"https://images.{profile.domain}/{number}"
    fields |= {
        "image_url": f"{image}-1200x675.jpg",
        "post_id": fields["canonical_url"] if rng.random() < 0.7 else f"post-{number}",
        "pub_date_tmsp": published_s * 1000,
        "save_date_tmsp": published_s * 1000 + rng.randrange(60_000, 900_000),
        "share_urls": [f"https://sho.rt.example/{number}"] if rng.random() < 0.05 else None,
        "thumb_url": f"{image}-85x85.jpg",
    }
    edited_s = published_s + rng.randint(HOUR // 4, 4 * HOUR) if rank % 10 == 2 else None
    edit: dict[str, object] = {"title": f"UPDATE: {title}", "section": profile.voice.sections[0]}
    edit |= {"save_date_tmsp": (edited_s or 0) * 1000 + 417}
    in_app = {"pub_date_tmsp": published_s, "save_date_tmsp": None, "data_source": None, "share_urls": None}
    return Page(
        url=str(fields["canonical_url"]),
        published_s=published_s,
        metadata=metadata(fields),
        edited_s=edited_s,
        metadata_edited=metadata(fields | edit),
        metadata_android=metadata(fields | in_app),
    )


def _post_fields(rng: random.Random, profile: Profile, title: str, path: str) -> dict[str, object]:
    voice, url = profile.voice, f"https://www.{profile.domain}/{path}"
    nobody: Sequence[str] | None = rng.choice(((), None))
    authors = rng.sample(voice.authors, rng.choice((1, 1, 1, 2, 3))) if rng.random() < 0.93 else nobody
    custom = {"paywall": rng.choice(("free", "metered", "premium")), "desk": rng.choice(voice.authors)}
    return {
        "authors": authors,
        "canonical_url": url,
        # A string that holds JSON, most of the time.
        "custom_metadata": to_json(custom) if rng.random() < 0.9 else rng.choice((None, "desk=local;paywall")),
        "data_source": "crawl",
        "full_content_word_count": int(rng.lognormvariate(6.3, 0.6)) + 40,
        "page_type": "post",
        "section": rng.choice(voice.sections),
        "tags": rng.sample(voice.tags, rng.randint(2, 6)) if rng.random() < 0.92 else nobody,
        "title": title,
        "urls": [url, url.replace("/www.", "/amp.")] if rng.random() < 0.5 else [url],
    }


def _front(profile: Profile, path: str, title: str) -> Page:
    url = f"https://www.{profile.domain}/{path}"
    fields = {"canonical_url": url, "page_type": "index", "post_id": url, "title": title}
    crawled = metadata(fields | {"data_source": "crawl", "urls": [url]})
    return Page(url=url, published_s=0, metadata=crawled, metadata_android=metadata(fields))


def _video(rng: random.Random, profile: Profile, start_s: int) -> Video:
    number, title = rng.randrange(10**7, 10**8), _title(rng, profile.voice)
    link = rng.choice((f"https://video.{profile.domain}/watch/{number}", f"jw-{number}"))
    duration_s, published_s = rng.randint(35, 1500), start_s - rng.randint(HOUR, 20 * DAY)
    fields: dict[str, object] = {
        "authors": rng.sample(profile.voice.authors, 1),
        "canonical_url": link,
        "data_source": "crawl",
        "image_url": f"https://images.{profile.domain}/video/{number}/poster.jpg",
        "page_type": "video",
        "post_id": link,
        "section": rng.choice(profile.voice.sections),
        "tags": ["video", *rng.sample(profile.voice.tags, 2)],
        "thumb_url": f"https://images.{profile.domain}/video/{number}/85x85.jpg",
        "title": f"Watch: {title}",
        "urls": [link],
    }
    return Video(
        duration_s=duration_s,
        metadata=metadata(fields | {"duration": duration_s * 1000, "pub_date_tmsp": published_s * 1000}),
        metadata_android=metadata(fields | {"duration": duration_s, "pub_date_tmsp": published_s}),
    )


def _title(rng: random.Random, voice: words.Voice) -> str:
    parts = (rng.choice(voice.subjects), rng.choice(voice.verbs), rng.choice(voice.things))
    return " ".join(parts) + rng.choice(voice.endings)


def _slug(title: str) -> str:
    """Turn the first words of *title* into a URL path; letters of other scripts stay, as in many a CMS."""
    return "-".join(re.findall(r"\w+", title.lower())[:6])
