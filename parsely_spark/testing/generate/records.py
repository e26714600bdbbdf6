"""One event, from its parts to its line of JSON."""

from __future__ import annotations

from typing import NamedTuple

from .fragments import second_text

NULL = "null"


class Event(NamedTuple):
    """One event before it is written: a few values of its own, and the JSON that it shares with others."""

    server_s: int  # epoch second at which the collector received it
    sent_ms: int  # client clock at sending, epoch ms
    override_ms: int | None  # event time said by an app that delivers in batches, epoch ms
    lie_s: int  # what ts_action is wrong by, almost always 0
    action: str
    event_id: str
    engaged_s: int | None
    extra: str  # JSON object or null
    pageload_id: str  # JSON string or null, like the next two
    pageview_id: str
    videostart_id: str
    visitor: str  # from here on: fragments
    session: str
    address: str
    referrer: str
    metadata: str


def to_line(event: Event) -> str:
    """Write *event* as one line of JSON with all 122 keys."""
    engaged = NULL if event.engaged_s is None else event.engaged_s
    override = NULL if event.override_ms is None else event.override_ms
    return (
        f'{{"action":"{event.action}",{event.visitor},{event.address},{event.referrer},{event.metadata},'
        f'{event.session},"pageload_id":{event.pageload_id},"pageview_id":{event.pageview_id},'
        f'"videostart_id":{event.videostart_id},"engaged_time_inc":{engaged},"extra_data":{event.extra},'
        f'"event_id":"{event.event_id}","timestamp_info":true,"timestamp_info_nginx_ms":{event.server_s}000,'
        f'"timestamp_info_override_ms":{override},"timestamp_info_pixel_ms":{event.sent_ms},'
        f'"ts_action":"{second_text(event.server_s + event.lie_s)}"}}\n'
    )
