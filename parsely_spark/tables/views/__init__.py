"""The declarations of the views: queries over the tables, with the reporting time zone."""

from __future__ import annotations

from parsely_spark.tables.views.attribution import CONVERSION_ATTRIBUTION
from parsely_spark.tables.views.calendar import CALENDAR
from parsely_spark.tables.views.campaigns import CAMPAIGNS
from parsely_spark.tables.views.content import AUTHORS, FIRST_72_HOURS, SECTIONS, TAGS
from parsely_spark.tables.views.custom_events import CUSTOM_EVENTS
from parsely_spark.tables.views.visitors import VISITORS

VIEWS = {
    view.name: view
    for view in (
        VISITORS,
        CAMPAIGNS,
        AUTHORS,
        SECTIONS,
        TAGS,
        FIRST_72_HOURS,
        CUSTOM_EVENTS,
        CONVERSION_ATTRIBUTION,
        CALENDAR,
    )
}
