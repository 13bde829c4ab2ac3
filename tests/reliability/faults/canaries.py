"""Is a password in anything that was written or sent? Each has a mark, which is looked for as it is and in base64."""

import base64
from collections import Counter
from dataclasses import dataclass, field

from tests.reliability.faults.rows import Rows


def _forms(mark: str) -> list[str]:
    """Its base64 depends on where it begins in a longer text: of each the part that doesn't change with the rest."""
    forms = [mark]
    for before in range(3):
        text = base64.b64encode(b" " * before + mark.encode()).decode()
        forms.append(text[4 : -4 - (len(text) % 4)])
    return forms


@dataclass(slots=True)
class Canaries:
    mark: str
    found: Counter[str] = field(default_factory=Counter)  #: by place, how often
    looked_at: Counter[str] = field(default_factory=Counter)  #: by place, characters

    def look(self, where: str, text: str) -> None:
        self.looked_at[where] += len(text)
        found = sum(text.count(form) for form in _forms(self.mark))
        if found:
            self.found[where] += found

    async def look_at_rows(self, rows: Rows) -> None:
        """All tables that we or the web application have, and the log of all states of the sessions."""
        tables = await rows.fetch(
            "select pg_catalog.format('%I.%I', schemaname, tablename) as name from pg_catalog.pg_tables"
            " where schemaname not in ('pg_catalog', 'information_schema') and schemaname not like 'pg\\_%'"
        )
        for table in tables:
            text = "\n".join(row["r"] for row in await rows.fetch(f"select t::text as r from {table['name']} t"))
            self.look(f"table {table['name']}", text)
