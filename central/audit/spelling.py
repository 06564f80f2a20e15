"""One spelling for one id: what of a table has to be written differently, and how.

The rule itself is `contracts.ids`. Here it is applied to whole columns, cheaply where nothing needs it: a
column is first searched for a character that the rule would touch. Texts of ASCII are then rewritten by the
engine; the others, which are few, are looked up in a table made by the very functions of the contracts.
"""

# ruff: noqa: S608 - SQL is put together from the names in contracts.tables

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from renzheng.central.audit.engine import Engine
from renzheng.contracts.ids import normalised_id, tidy_id
from renzheng.contracts.tables import Table

BEYOND_ASCII = f"[{chr(0x80)}-{chr(0x10FFFF)}]"
"""A character that only Unicode's own rules can narrow."""
NORMALISED = (
    "person_id",
    "alias_of",
    "holder_id",
    "buyer_id",
    "visit_id",
    "doctor_id",
    "staff_id",
    "item_code",
    "region_code",
)
TIDIED = ("line_id", "reverses_line_id", "event_id", "check_id", "round_id", "session_id", "device_id")
BLANK_IS_NONE = ("reverses_line_id", "doctor_id", "session_id", "settlement_id", "region_code")
"""Columns of ids that may be empty: a text without characters is no id."""


@dataclass(frozen=True)
class Form:
    """One of the two spellings: the characters that stay as they are, and how a text is written."""

    plain: str
    """As ranges of a regular expression's set, such as `!-~`."""
    capitals: bool
    write: Callable[[str], str]


CAPITALS = Form("!-`{-~", capitals=True, write=normalised_id)
"""Printable ASCII without blank and small letters stays as it is."""
TIDY = Form("!-~", capitals=False, write=tidy_id)


@dataclass
class Speller:
    """Writes the select that spells the ids of one table after another.

    Args:
        engine: where the tables are.
        institutions: for each normalised institution id, how the table `institutions` spells it.
    """

    engine: Engine
    institutions: dict[str, str] = field(default_factory=dict)

    def learn_institutions(self, name: str) -> None:
        """Remember how the table `institutions` spells its ids; of two spellings the smaller one."""
        rows = self.engine.rows(
            f"SELECT DISTINCT institution_id FROM {name} WHERE institution_id IS NOT NULL"
        )
        for text in sorted(filter(None, map(tidy_id, rows["institution_id"].to_pylist())), reverse=True):
            self.institutions[normalised_id(text)] = text

    def spelled(self, table: Table, name: str) -> str:
        """Write the query that yields the rows of `name` with every id in its one spelling."""
        selected, joins, changed = [], [], False
        found = self._touched(table, name)
        for column in table.columns:
            expression = f"t.{column.name}"
            form = _form(column.name)
            if column.name == "institution_id":
                expression, join = self._institution(table, name)
                joins += [join] if join else []
            elif form and column.name in found:
                expression, join = self._rewritten(table, name, column.name, form)
                joins += [join] if join else []
            if column.name in BLANK_IS_NONE and column.nullable:
                expression = f"nullif({expression}, '')"
            changed = changed or expression != f"t.{column.name}"
            selected.append(f"{expression} AS {column.name}")
        others = "t.part_, t.unreadable_"
        return f"SELECT {', '.join(selected)}, {others} FROM {name} t {' '.join(joins)}" if changed else ""

    def spell(self, form: Form, text: str | None) -> str | None:
        """Spell one id that comes from elsewhere than a table of the engine."""
        return (form.write(text) or None) if text else None

    def spell_institution(self, text: str | None) -> str | None:
        """Spell one institution id as the table `institutions` does."""
        known = normalised_id(text) if text else ""
        return self.institutions.get(known, known) or None

    def _touched(self, table: Table, name: str) -> Collection[str]:
        """Name the columns with a text that has a character which the rule touches."""
        columns = {column.name: form.plain for column in table.columns if (form := _form(column.name))}
        return self.engine.unplain(name, columns) if columns else ()

    def _rewritten(self, table: Table, name: str, column: str, form: Form) -> tuple[str, str]:
        plain = f"regexp_replace(t.{column}, '[^!-~]', '', 'g')"
        plain = f"upper({plain})" if form.capitals else plain
        texts = self._texts(name, column, f"regexp_matches({column}, '{BEYOND_ASCII}')")
        if not texts:
            return plain, ""
        lookup = f"spelling_{table.name}_{column}"
        self._add(lookup, {text: form.write(text) for text in texts})
        return (
            f"CASE WHEN m_{column}.was IS NULL THEN {plain} ELSE m_{column}.spelled END",
            f"LEFT JOIN {lookup} m_{column} ON t.{column} = m_{column}.was",
        )

    def _institution(self, table: Table, name: str) -> tuple[str, str]:
        """Spell institution ids, which are few, by looking up those that are spelled differently."""
        other = {
            text: spelled
            for text in self._texts(name, "institution_id", "institution_id IS NOT NULL")
            if (spelled := self.spell_institution(text) or "") != text
        }
        if not other:
            return "t.institution_id", ""
        lookup = f"spelling_{table.name}_institution_id"
        self._add(lookup, other)
        return (
            "coalesce(m_institution_id.spelled, t.institution_id)",
            f"LEFT JOIN {lookup} m_institution_id ON t.institution_id = m_institution_id.was",
        )

    def _texts(self, name: str, column: str, condition: str) -> list[str]:
        rows = self.engine.rows(f"SELECT DISTINCT {column} AS text FROM {name} WHERE {condition}")
        return [str(text) for text in rows["text"].to_pylist()]

    def _add(self, lookup: str, spelled: Mapping[str, str]) -> None:
        rows = [{"was": was, "spelled": now} for was, now in sorted(spelled.items())]
        schema = pa.schema([("was", pa.string()), ("spelled", pa.string())])
        self.engine.add(lookup, pa.Table.from_pylist(rows, schema=schema))


def _form(column: str) -> Form | None:
    if column in NORMALISED:
        return CAPITALS
    return TIDY if column in TIDIED else None
