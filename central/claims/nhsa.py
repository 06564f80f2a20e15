"""The NHSA institution interface (DOMAIN.md names its fields), as CSV or JSON.

CSV holds one transaction a file, or names each row's in a column `infno`; JSON holds messages with their
envelope (`infno`, `fixmedins_code`, `input`, `output`), one a line, in an array, or one alone. A CSV that
names no transaction is recognised by the fields that only that transaction has.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from renzheng.central.claims.delimited import BadLine, open_table
from renzheng.central.claims.json_stream import is_json, read_values
from renzheng.central.claims.mapping_file import NhsaSettings, read_settings
from renzheng.central.claims.nhsa_cancellations import LINE_CANCELLATIONS, read_cancellation
from renzheng.central.claims.nhsa_lines import (
    INSTITUTION,
    MED_TYPES,
    SOURCES,
    LineDefaults,
    draft_line,
)
from renzheng.central.claims.nhsa_lines import REQUIRED as LINE_FIELDS
from renzheng.central.claims.nhsa_visits import read_visit
from renzheng.central.claims.rejects import Place, Problem, Reason, Remark, shown
from renzheng.central.claims.rows import ZoneOf
from renzheng.central.claims.source import Advance, InputFile, Item, Missing, Options
from renzheng.central.claims.stay_events import LineBatch
from renzheng.contracts.errors import UsageError

LINES = ("2204", "2301")
REQUIRED: Mapping[str, Sequence[str]] = {
    "2201": ("psn_no", "mdtrt_id"),
    "2204": LINE_FIELDS,
    "2301": LINE_FIELDS,
    "2304": ("setl_id", "mdtrt_id"),
    "4101": ("setl_id", "mdtrt_id"),
    "2401": ("mdtrt_id", "psn_no", "begntime"),
    "2402": ("mdtrt_id", "psn_no", "endtime"),
    "2403": ("mdtrt_id", "psn_no"),
    "2205": ("mdtrt_id", "psn_no", "chrg_bchno"),
    "2302": ("mdtrt_id", "psn_no", "feedetl_sn"),
    "2404": ("mdtrt_id", "psn_no", "inf_time"),
    "2405": ("mdtrt_id", "psn_no", "inf_time"),
}
"""What each transaction cannot do without; and `fixmedins_code`, unless it is given."""

_OWN_FIELDS: Sequence[tuple[str, frozenset[str]]] = (
    ("2204", frozenset({"feedetl_sn"})),
    ("4101", frozenset({"act_ipt_days", "hi_no"})),
    ("2304", frozenset({"setl_id"})),
    ("2401", frozenset({"adm_bed", "adm_dept_codg"})),
    ("2402", frozenset({"dscg_bed", "dscg_dept_codg", "dscg_way"})),
    ("2201", frozenset({"mdtrt_cert_type"})),
)


class NhsaSource:
    """NHSA transactions 2201, 2204, 2205, 2301, 2302, 2304, 2401 to 2405 and 4101."""

    tables: Sequence[str] = ("claim_lines", "stays", "leaves")
    sources: Mapping[str, str] = SOURCES

    def __init__(self, options: Options) -> None:
        if options.transaction and options.transaction not in REQUIRED:
            raise UsageError(
                f"{options.transaction!r} is no transaction that is read.",
                do=f"Use one of {', '.join(REQUIRED)}.",
            )
        settings = read_settings(options.mapping, "nhsa", NhsaSettings)
        self._options = options
        self._defaults = LineDefaults(
            options.institution, options.transaction, {**MED_TYPES, **settings.med_type}
        )

    def check(self, files: Sequence[InputFile]) -> list[InputFile]:
        """Name every required column that any CSV file lacks."""
        missing = Missing()
        for file in files:
            if is_json(file.path):
                continue
            columns = open_table(file.path, encoding=self._options.encoding, fold_case=True).columns
            needed = list(
                ("mdtrt_id", "psn_no") if "infno" in columns else REQUIRED[self._transaction(columns)]
            )
            if not self._options.institution:
                needed.append(INSTITUTION)
            missing.add(file.name, [name for name in needed if name not in columns])
        missing.raise_if_any(
            "Export the missing columns; for fixmedins_code, --institution CODE will do as well."
        )
        return list(files)

    def read(self, file: InputFile, zone_of: ZoneOf, advance: Advance) -> Iterator[Item]:
        """Read one file."""
        if is_json(file.path):
            yield from self._read_json(file, zone_of, advance)
            return
        table = open_table(
            file.path, encoding=self._options.encoding, advance=advance, name=file.name, fold_case=True
        )
        usual = self._transaction(table.columns)
        for row in table.rows:
            if isinstance(row, BadLine):
                yield Remark(_table(usual), row.place, row.problem)
            else:
                transaction = row.fields.get("infno", "").strip() or usual
                yield from self._record(transaction, row.fields, row.place, zone_of)

    def _transaction(self, columns: Sequence[str]) -> str:
        """Give the transaction of a CSV's rows: as the user says, else by the fields that only one has."""
        present = frozenset(columns)
        return self._options.transaction or next(
            (number for number, own in _OWN_FIELDS if own & present), LINES[0]
        )

    def _record(
        self, transaction: str, fields: Mapping[str, object], place: Place, zone_of: ZoneOf
    ) -> Iterator[Item]:
        if transaction in LINES:
            draft = draft_line(fields, place, self._defaults)
            yield draft
            batch = str(fields.get("chrg_bchno") or "").strip()
            if batch:
                yield LineBatch(str(draft.values["line_id"]), batch)
        elif transaction in LINE_CANCELLATIONS:
            yield from read_cancellation(transaction, fields, place, self._options.institution)
        elif transaction in REQUIRED:
            yield from read_visit(transaction, fields, place, self._options.institution, zone_of)
        else:
            yield Remark("claim_lines", place, Problem("infno", Reason.UNKNOWN_MESSAGE, shown(transaction)))

    def _read_json(self, file: InputFile, zone_of: ZoneOf, advance: Advance) -> Iterator[Item]:
        for line, value in read_values(file.path, encoding=self._options.encoding, advance=advance):
            place = Place(file.name, line)
            if not isinstance(value, dict):
                reason = value if isinstance(value, Reason) else Reason.NOT_PARSABLE
                yield Remark("claim_lines", place, Problem("", reason))
                continue
            message = _folded(value)
            for transaction, fields in self._records(message):
                yield from self._record(transaction, fields, place, zone_of)

    def _records(self, message: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Take a message apart into records, each with the fields of its envelope.

        Lists of records (`feedetl`) give one each; single nodes (`mdtrtinfo`, `setlinfo`, `payinfo`) belong
        together.
        """
        body = [
            message,
            *(node for name in ("input", "output") if isinstance(node := message.get(name), dict)),
        ]
        plain = {name: value for part in body for name, value in part.items() if _is_plain(value)}
        lists = [
            record
            for part in body
            for name, node in part.items()
            if isinstance(node, list) and name in {"feedetl", "data"}
            for record in node
            if isinstance(record, dict)
        ]
        nodes = [
            node
            for part in body
            for name, node in part.items()
            if isinstance(node, dict) and name not in {"input", "output"}
        ]
        if lists:
            for record in lists:
                fields = {**plain, **record}
                yield self._named(fields), fields
            return
        for node in nodes:
            plain.update({name: value for name, value in node.items() if _is_plain(value)})
        yield self._named(plain), plain

    def _named(self, fields: Mapping[str, object]) -> str:
        return str(fields.get("infno") or "").strip() or self._transaction(tuple(fields))


def _is_plain(value: object) -> bool:
    return not isinstance(value, dict | list)


def _folded(value: Any) -> Any:
    """Give the same with field names in lower case, at every depth."""
    if isinstance(value, dict):
        return {str(name).lower(): _folded(one) for name, one in value.items()}
    return [_folded(one) for one in value] if isinstance(value, list) else value


def _table(transaction: str) -> str:
    return "claim_lines" if transaction in {*LINES, *LINE_CANCELLATIONS} else "stays"
