"""What `verify` finds: rows and sums that are not as they should be, and tables that are behind."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A row that is not as it should be.

    Attributes:
        table: the table.
        key: what identifies the row.
        column: the column that differs; empty where the whole row is missing, too much or there more than once.
        stored: what is in the table.
        expected: what the events say.
    """

    table: str
    key: str
    column: str = ""
    stored: str | None = None
    expected: str | None = None

    def __str__(self) -> str:
        where = f"{self.table} {self.key}" + (f" {self.column}" if self.column else "")
        return f"{where}: stored {self.stored}, expected {self.expected}"


@dataclass(frozen=True, kw_only=True)
class Total:
    """A sum over all events: what is in the rows of the table, and what the events add that make no row of it.

    Attributes:
        stored: of the rows.
        expected: of the events that make them.
        rest: of all other events.
        lost: of those of them that should be in a row, by the promise of the table's declaration.
    """

    stored: int
    expected: int
    rest: int
    lost: int


@dataclass(kw_only=True)
class Findings:
    """What was compared, and what was found."""

    sample: float
    events: int = 0  # all there are
    rows: dict[str, int] = field(default_factory=dict)  # compared, by table
    folded: dict[str, int] = field(default_factory=dict)  # the version of events that a table holds
    behind: dict[str, int] = field(default_factory=dict)  # versions of events that it did not hold yet
    whole_since: dict[str, str] = field(default_factory=dict)  # the first day compared, where events before are gone
    different: dict[str, int] = field(default_factory=dict)  # rows that differ, by table
    totals: dict[str, dict[str, Total]] = field(default_factory=dict)  # by table and measure
    differences: list[Difference] = field(default_factory=list)  # the first of each table

    @property
    def is_right(self) -> bool:
        """Whether nothing differs."""
        all_totals = [total for of in self.totals.values() for total in of.values()]
        sums_agree = all(total.stored == total.expected and not total.lost for total in all_totals)
        return sums_agree and not self.unbalanced and not any(self.different.values())

    @property
    def never_folded(self) -> list[str]:
        """The tables that hold nothing of the events, though there are some: no difference to what they say of it."""
        return [
            table for table, version in self.folded.items() if version == 0 and self.events and self.behind.get(table)
        ]

    def lateness(self, table: str) -> str | None:
        """What of the events is not in *table* yet, in words."""
        if table in self.never_folded:
            return f"none of the {self.events:,} events has ever been folded into it; run `parsely-spark batch`"
        if behind := self.behind.get(table):
            return f"{behind:,} versions of events are not in it yet; `parsely-spark batch` brings them in"
        return None

    @property
    def unbalanced(self) -> list[Difference]:
        """The sums that are not the same in all tables that hold the same events: of its rows and of its rest."""
        found = []
        # Runs may go on meanwhile, so that one table holds more events than another by the time it is looked at.
        sums: dict[tuple[str, int, str], dict[str, int]] = {}
        for table, of in self.totals.items():
            for measure, total in of.items():
                held = (measure, self.folded[table], self.whole_since.get(table, ""))
                sums.setdefault(held, {})[table] = total.stored + total.rest
        for (measure, *_), by_table in sorted(sums.items()):
            if len(set(by_table.values())) > 1:
                key = ", ".join(f"{table} {total:,}" for table, total in by_table.items())
                found.append(Difference(table="all tables", key=key, column=measure, expected="the same sum in each"))
        return found
