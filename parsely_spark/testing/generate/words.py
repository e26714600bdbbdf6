"""What the generated sites write about: titles, sections, authors and tags, one voice per site."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Voice:
    """The words of one site; a title is subject + verb + thing + ending."""

    subjects: tuple[str, ...]
    verbs: tuple[str, ...]
    things: tuple[str, ...]
    endings: tuple[str, ...]
    sections: tuple[str, ...]
    authors: tuple[str, ...]
    tags: tuple[str, ...]


NEWS = Voice(
    subjects=(
        "City council", "Transit agency", "School board", "Harbor commission", "Appeals court",
        "Health ministry", "Farmers' union", "State senate", "Water authority", "Night-shift nurses",
        "Ferry operator", "Tenants' group",
    ),
    verbs=("approves", "delays", "defends", "rejects", "unveils", "reopens", "questions", "drops", "backs"),
    things=(
        "the flood barrier budget", "a four-day week for drivers", "the riverfront housing plan",
        "new bike lanes", "the airport night flight ban", "free school lunches", "the “clean harbor” levy",
        "an opera house repair", "winter heating aid", "the ring road toll", "a second hospital site",
        "rules for short-term rentals",
    ),
    endings=(
        "", " after a long night debate", " as the winter storm nears", " amid rising costs",
        ", documents show", ": what changes for you", " — live updates", " for the third time this year",
        " despite protests",
    ),
    sections=("Politics", "Local", "World", "Business", "Health", "Culture", "Opinion", "Uncategorized"),
    authors=(
        "Maya Okafor", "Daniel Reyes", "Ingrid Solberg", "Tom Fairweather", "Priya Raman", "Seán Ó Briain",
        "Louise Dubois", "Jonas Weiss", "Grace Liu", "Omar Haddad", "Newsroom Staff", "Ana María Peña",
    ),
    tags=(
        "budget", "housing", "transport", "climate", "schools", "courts", "elections", "harbor", "weather",
        "public-health", "energy", "jobs", "taxes", "explainer", "video", "exclusive",
    ),
)  # fmt: skip

SPORTS = Voice(
    subjects=(
        "Harbor Gulls", "River Otters", "Northside Foxes", "Capital Larks", "Granite Bears", "Coastal Herons",
        "Valley Stags", "Old Town Owls", "Prairie Comets", "Lakeside Pikes",
    ),
    verbs=("beat", "hold off", "fall to", "edge", "draw with", "stun", "trade for", "release", "extend"),
    things=(
        "the league leaders", "a rookie goalkeeper", "their oldest rivals", "last year's finalists",
        "a veteran captain", "the cup holders", "ten-man visitors", "a record crowd's favourites",
    ),
    endings=(
        " in overtime", " 3-2", " on the final whistle", " to go top", ": five things we learned", "",
        " as the coach returns", " before the break", ": ratings and reaction",
    ),
    sections=("Football", "Hockey", "Tennis", "Running", "Transfers", "Fantasy"),
    authors=(
        "Bea Lindqvist", "Marcus Hale", "Yuki Tanaka", "Rosa Villanueva", "Pete Donnelly", "Sports Desk",
    ),
    tags=(
        "match-report", "transfers", "injuries", "playoffs", "highlights", "fantasy", "video", "interview",
        "cup",
    ),
)  # fmt: skip

ZEITUNG = Voice(
    subjects=(
        "Bürgermeisterin", "Stadträte", "Straßenbahner", "Universität Köln", "Bäckerinnung", "Kläranlage Süd",
        "Schülerrat", "東京支局", "서울 시민", "Żeglarze z Gdańska",
    ),
    verbs=("eröffnet", "prüft", "verschiebt", "fördert", "kürzt", "begrüßt", "zählt"),
    things=(
        "die Brücke über die Oder", "das Müllkonzept", "42 neue Wohnungen", "den Weihnachtsmarkt",
        "die „Grüne Welle“", "das Frühlingsfest", "ein Café für alle", "die Öffnungszeiten der Bäder",
    ),
    endings=(
        "", " — trotz Kälte", ": was jetzt gilt", " 🎉", " (mit Bildern)", " für fünf Jahre",
        " — naïve Hoffnung?",
    ),
    sections=("Lokales", "Köln", "Kultur", "Größeres", "Übersicht"),
    authors=("Jörg Müller", "Zoë Groß", "佐藤 花子", "Łukasz Żak", "Redaktion"),
    tags=("verkehr", "wohnen", "köln", "fußball", "wetter", "schule", "日本", "bürger"),
)  # fmt: skip

COOKING = Voice(
    subjects=(
        "Slow-roasted", "Ten-minute", "Crispy", "One-pot", "Grandma's", "Smoky", "Weeknight", "No-bake",
    ),
    verbs=("squash", "chickpea", "mushroom", "lemon", "salmon", "plum", "leek", "jalapeño", "crème fraîche"),
    things=("soup", "pie", "dumplings", "salad", "pancakes", "tart", "curry", "flatbread"),
    endings=(
        " with brown butter", " and toasted seeds", ", step by step", " (kids love it)", "",
        " — the video recipe",
    ),
    sections=("Dinner", "Baking", "Vegetarian", "Techniques", ""),
    authors=("Chloé Martin", "Sam Adeyemi", "Test Kitchen"),
    tags=("quick", "vegan", "oven", "comfort-food", "video", "gluten-free", "budget"),
)  # fmt: skip
