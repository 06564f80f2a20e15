"""The NHSA institution interface, as CSV or JSON.

CSV holds one transaction a file, or names each row's in a column `infno`; JSON holds messages, wrapped in any
way (nhsa_messages.py), with their answers beside them or apart (nhsa_answers.py). A record that names no
transaction is recognised by the nodes or fields that only one has. Which there are is in nhsa_table.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from renzheng.central.claims import nhsa_cancellations, nhsa_medicines, nhsa_settlements
from renzheng.central.claims.delimited import BadLine, open_table
from renzheng.central.claims.json_stream import is_json, read_values
from renzheng.central.claims.mapping_file import NhsaSettings, read_settings
from renzheng.central.claims.nhsa_answers import Answers
from renzheng.central.claims.nhsa_fields import INSTITUTION, Fields, filled
from renzheng.central.claims.nhsa_lines import MED_TYPES, SOURCES, LineDefaults, draft_line
from renzheng.central.claims.nhsa_messages import (
    Answer,
    Message,
    holds_lines,
    is_failure,
    plain_fields,
    read_messages,
    records_of,
    text_of,
)
from renzheng.central.claims.nhsa_people import People, diagnoses, operations
from renzheng.central.claims.nhsa_table import (
    SELF_PAID,
    TRANSACTIONS,
    Transaction,
    TransactionUse,
    find,
    plain_number,
)
from renzheng.central.claims.nhsa_visits import read_registration, read_stay
from renzheng.central.claims.rejects import Problem, Reason, RowPlace, RowProblem, shown
from renzheng.central.claims.repeated_keys import ContainsRepeatedKeys
from renzheng.central.claims.rows import ZoneOf
from renzheng.central.claims.source import Advance, Ignored, InputFile, Item, Missing, Options
from renzheng.central.claims.stay_events import LineUpload
from renzheng.central.claims.values import ValueProblem, read_time
from renzheng.contracts.errors import UsageError

_READ = {number: one for number, one in TRANSACTIONS.items() if one.use is not TransactionUse.COUNTED}
_OWN_FIELDS: Sequence[tuple[str, frozenset[str]]] = (
    ("2204", frozenset({"feedetl_sn"})),
    ("4205", frozenset({"bkkp_sn"})),
    ("4101", frozenset({"act_ipt_days", "hi_no"})),
    ("2304", frozenset({"setl_id"})),
    ("2401", frozenset({"adm_bed", "adm_dept_codg"})),
    ("2402", frozenset({"dscg_bed", "dscg_dept_codg", "dscg_way"})),
    ("2201", frozenset({"mdtrt_cert_type"})),
)
_OWN_NODES: Mapping[str, str] = {
    "feedetail": "2204",
    "dscginfo": "2402",
    "adminfo": "2403",
    "setlinfo": "4101",
    "baseinfo": "1101",
    "invinfo": "3501",
    "purcinfo": "3503",
    "purcinfodetail": "3503",
    "selinfo": "3505",
    "selinfodetail": "3505",
}
"""Nodes that name their transaction, for a bare `input`; `mdtrtinfo` has two."""
_TABLES: Mapping[TransactionUse, str] = {
    TransactionUse.STAY: "stays",
    TransactionUse.PERSON: "persons",
    TransactionUse.SETTLEMENT: nhsa_settlements.TABLE,
    TransactionUse.SETTLEMENT_CANCELLATION: nhsa_settlements.TABLE,
    TransactionUse.SETTLEMENT_LIST: nhsa_settlements.TABLE,
    TransactionUse.REVERSED_MESSAGE: nhsa_settlements.TABLE,
    TransactionUse.LINE_CANCELLATION: nhsa_cancellations.TABLE,
    TransactionUse.REGISTRATION: "registrations",
    TransactionUse.VISIT: "registrations",
    TransactionUse.MEDICINES: nhsa_medicines.SALES,
}
_TAKES_BACK = frozenset({TransactionUse.LINE_CANCELLATION, TransactionUse.SETTLEMENT_CANCELLATION})
_FIRST_PARTS = 50
_TWICE = Problem("", Reason.KEY_TWICE)


class NhsaSource:
    """What a hospital's log of the interface tells of lines, stays, settlements and persons."""

    tables: Sequence[str] = (
        *("claim_lines", "stays", "leaves", "persons", "diagnoses", "operations"),
        *(nhsa_medicines.SALES, nhsa_medicines.STOCK),
    )
    sources: Mapping[str, str] = SOURCES
    fills: Sequence[str] = ("persons",)

    def __init__(self, options: Options) -> None:
        self._given = plain_number(options.transaction) if options.transaction else ""
        if self._given and self._given not in _READ:
            raise UsageError(
                f"{options.transaction!r} is no transaction that is read.",
                do=f"Use one of {', '.join(_READ)}.",
            )
        settings = read_settings(options.mapping, "nhsa", NhsaSettings)
        self._options = options
        self._defaults = LineDefaults(options.institution, self._given, {**MED_TYPES, **settings.med_type})
        self._answers = Answers()
        self._people = People()

    def check(self, files: Sequence[InputFile]) -> list[InputFile]:
        """Name every required column that any CSV file lacks, find answers, and put the files in order.

        Files are read in the order in which their messages were sent, for what is uploaded and taken back may
        come again. Those that do not say when come first, or last if they take back.
        """
        missing, order = Missing(), {}
        for file in files:
            if is_json(file.path):
                self._answers.add_file(file.path, file.name, self._options.encoding)
                order[file.name] = self._json_order(file)
            else:
                order[file.name] = self._check_csv(file, missing)
        missing.raise_if_any(
            "Export the missing columns; for fixmedins_code, --institution CODE will do as well."
        )
        return sorted(files, key=lambda file: order[file.name])

    def _check_csv(self, file: InputFile, missing: Missing) -> tuple[int, datetime]:
        table = open_table(file.path, encoding=self._options.encoding, fold_case=True)
        columns = table.columns
        number = "" if "infno" in columns else self._transaction(columns)
        needed = list(TRANSACTIONS[number].needs if number else ("mdtrt_id", "psn_no"))
        if not self._options.institution and number != "1101":
            needed.append(INSTITUTION)
        missing.add(file.name, [name for name in needed if name not in columns])
        first = next((row.fields for row in table.rows if not isinstance(row, BadLine)), {})
        return _order([(plain_number(first.get("infno")) or number, first)])

    def _json_order(self, file: InputFile) -> tuple[int, datetime]:
        found: list[tuple[str, Mapping[str, object]]] = []
        for _, value in read_values(file.path, encoding=self._options.encoding):
            parts = read_messages(value) if isinstance(value, dict | list) else iter(())
            found += [(self._number(part), part.head) for part in parts if isinstance(part, Message)]
            if len(found) >= _FIRST_PARTS or any(filled(head, "inf_time") for _, head in found):
                break
        return _order(found)

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
                yield RowProblem(_table(find(usual)), row.place, row.problem)
            else:
                number = plain_number(row.fields.get("infno")) or usual
                yield from self._message(Message(number, row.fields, {}), row.place, zone_of)

    def rest(self, _: ZoneOf) -> Iterator[Item]:
        """Yield the persons that the files told of."""
        yield from self._people.drafts()
        yield from [Ignored("应答 answer without its message")] * self._answers.without_message

    def _read_json(self, file: InputFile, zone_of: ZoneOf, advance: Advance) -> Iterator[Item]:
        number = 0
        for line, value in read_values(file.path, encoding=self._options.encoding, advance=advance):
            place = RowPlace(file.name, line)
            if not isinstance(value, dict | list):
                reason = value if isinstance(value, Reason) else Reason.NOT_PARSABLE
                yield RowProblem("claim_lines", place, Problem("", reason))
                continue
            parts = list(read_messages(value))
            if not parts and value:
                yield RowProblem("claim_lines", place, Problem("", Reason.NOT_PARSABLE))
            for part in parts:
                if isinstance(part, Message):
                    part = self._answers.of(part, file.name, number)  # noqa: PLW2901 - the same, with its answer
                    yield from self._message(part, place, zone_of)
                elif part.is_doubtful:
                    yield RowProblem("claim_lines", place, _TWICE)
                else:
                    self._answer(part, place, zone_of)
                number += 1

    def _answer(self, answer: Answer, place: RowPlace, zone_of: ZoneOf) -> None:
        """Read an answer that stands apart: persons are all that can be had of it without its message."""
        for record in records_of(answer.nodes.get("baseinfo")):
            self._people.see(Fields(record, self._options.institution or "-", zone_of), record, place)

    def _transaction(self, columns: Sequence[str]) -> str:
        """Return the transaction of flat rows: as the user says, else by the fields that only one has."""
        present = frozenset(columns)
        if self._given:
            return self._given
        number = next((number for number, own in _OWN_FIELDS if own & present), "2204")
        return "2301" if number == "2204" and "drord_no" in present else number

    def _number(self, message: Message) -> str:
        """Return a message's transaction: its own, the user's, that of its nodes, that of its fields."""
        if message.number or self._given:
            return message.number or self._given
        named = next((number for node, number in _OWN_NODES.items() if node in message.body), None)
        records = [record for node in message.body.values() for record in records_of(node)]
        fields = plain_fields(message.head, *records)
        if named == "2204":
            return self._transaction(tuple(fields))
        if named is None and "mdtrtinfo" in message.body:
            return "2401" if "adm_bed" in fields or "adm_dept_codg" in fields else "2203"
        return named or self._transaction(tuple(fields))

    def _message(self, message: Message, place: RowPlace, zone_of: ZoneOf) -> Iterator[Item]:
        number = self._number(message)
        transaction = find(number)
        if message.is_doubtful:
            yield from self._doubted(transaction, message, place)
            return
        code = message.answer.code if message.answer is not None else message.head.get("infcode")
        if is_failure(code):
            problem = Problem("infcode", Reason.REFUSED_BY_BUREAU, shown(code))
            yield RowProblem(_table(transaction), place, problem)
            return
        hidden = _lines_elsewhere(transaction, message)
        yield from self._unknown_lines(number, message, hidden, place)
        if transaction is not None and transaction.use is TransactionUse.LINES:
            yield from self._lines(transaction, message, place, zone_of)
        elif transaction is not None and transaction.use is TransactionUse.MEDICINES:
            yield from self._medicines(transaction, message, place, zone_of)
        elif transaction is not None and transaction.use is not TransactionUse.COUNTED:
            yield from self._other(transaction, message, place, zone_of)
        elif transaction is not None:
            yield Ignored(f"{number} {transaction.name}".strip())
        elif not hidden:
            yield RowProblem("claim_lines", place, Problem("infno", Reason.UNKNOWN_MESSAGE, shown(number)))

    def _doubted(self, transaction: Transaction | None, message: Message, place: RowPlace) -> Iterator[Item]:
        """Refuse a message in which a key stands twice, with what its lines bill."""
        nodes = [message.head, *message.body.values()]
        records = [record for node in nodes if holds_lines(node) for record in records_of(node)]
        for record in records:
            yield draft_line(plain_fields(message.head, record), place, self._defaults, (_TWICE,))
        if not records:
            yield RowProblem(_table(transaction), place, _TWICE)

    def _lines(
        self, transaction: Transaction, message: Message, place: RowPlace, zone_of: ZoneOf
    ) -> Iterator[Item]:
        main = transaction.nodes[0]
        nodes = {
            name: node for name, node in message.body.items() if holds_lines(node) or (name == main and node)
        }
        if not nodes and not message.body and holds_lines(message.head):
            yield from self._line(transaction, message.head, place, zone_of)
        elif not nodes and main in message.body:
            yield Ignored(f"{transaction.number} {main}: 无明细 no lines in it")
        elif not nodes:
            yield RowProblem("claim_lines", place, _other_nodes(transaction, message.body))
        around = [message.body[name] for name in ("mdtrtinfo",) if isinstance(message.body.get(name), dict)]
        for name, node in nodes.items():
            if name not in {*transaction.nodes, "input"}:
                yield RowProblem(
                    "claim_lines", place, _other_nodes(transaction, {name: node}, Reason.OTHER_NODE)
                )
            for record in node if isinstance(node, list) else records_of(node):
                if isinstance(record, ContainsRepeatedKeys):
                    fields = plain_fields(message.head, *around, record)
                    yield draft_line(fields, place, self._defaults, (_TWICE,))
                elif isinstance(record, dict):
                    fields = plain_fields(message.head, *around, record)
                    yield from self._line(transaction, fields, place, zone_of)
                else:
                    yield RowProblem("claim_lines", place, Problem(name, Reason.NOT_PARSABLE, shown(record)))

    def _unknown_lines(
        self, number: str, message: Message, nodes: Sequence[object], place: RowPlace
    ) -> Iterator[Item]:
        """Refuse lines in a transaction that has none, each with what it bills: a number is soon changed."""
        problem = Problem("infno", Reason.UNKNOWN_VALUE, shown(number))
        for record in (record for node in nodes for record in records_of(node)):
            yield draft_line(plain_fields(message.head, record), place, self._defaults, (problem,))

    def _line(
        self, transaction: Transaction, fields: Mapping[str, object], place: RowPlace, zone_of: ZoneOf
    ) -> Iterator[Item]:
        draft = draft_line(
            {**fields, "infno": fields.get("infno") or transaction.number}, place, self._defaults
        )
        yield draft
        batch, sent = filled(fields, "chrg_bchno"), filled(fields, "inf_time")
        if draft.values["line_id"] and (batch is not None or sent is not None):
            read = Fields(fields, self._options.institution, zone_of)
            named = None if batch is None else str(batch).strip()
            yield LineUpload(place, read.institution_id, str(draft.values["line_id"]), named, read.sent_at())
        if draft.values["traceability_code"] and (
            transaction.number == SELF_PAID or filled(fields, "trdn_flag") is not None
        ):
            yield from nhsa_medicines.box_of_line(
                draft.values, fields, place, self_paid=transaction.number == SELF_PAID
            )

    def _medicines(
        self, transaction: Transaction, message: Message, place: RowPlace, zone_of: ZoneOf
    ) -> Iterator[Item]:
        """Read sales, returns and stock of medicines: one record, or each of a list."""
        nodes = [message.body[name] for name in transaction.nodes if name in message.body]
        records = [record for node in nodes for record in records_of(node)]
        if not nodes and not message.body and filled(message.head, *transaction.needs) is not None:
            records = [dict(message.head)]
        if not records:
            table = nhsa_medicines.table_of(transaction.number)
            yield RowProblem(table, place, _other_nodes(transaction, message.body))
        for record in records:
            fields = plain_fields(message.head, record)
            read = Fields(fields, self._options.institution, zone_of)
            codes = nhsa_medicines.codes_of(record, message.body, alone=len(records) == 1)
            yield from nhsa_medicines.read_medicines(transaction.number, read, fields, codes, place)

    def _other(
        self, transaction: Transaction, message: Message, place: RowPlace, zone_of: ZoneOf
    ) -> Iterator[Item]:
        """Read a message that is not about lines; a list of records in its node is one each."""
        answer = _from_answer(transaction, message.answer)
        main = message.body.get(transaction.nodes[0])
        others = [node for node in message.body.values() if isinstance(node, dict)] if main is None else []
        records = [plain_fields(*others)] if main is None else records_of(main)
        if main is None and not _names_a_visit(transaction, message, *records, answer):
            yield RowProblem(_table(transaction), place, _other_nodes(transaction, message.body))
            return
        for record in records:
            fields = {**answer, **plain_fields(answer, message.head, record)}
            yield from self._record(transaction, fields, message.body, place, zone_of)

    def _record(
        self,
        transaction: Transaction,
        fields: Mapping[str, object],
        body: Mapping[str, Any],
        place: RowPlace,
        zone_of: ZoneOf,
    ) -> Iterator[Item]:
        read = Fields(fields, self._options.institution, zone_of)
        number = transaction.number
        match transaction.use:
            case TransactionUse.PERSON:
                yield from self._person(fields, place, zone_of)
            case TransactionUse.REGISTRATION:
                yield from read_registration(read, place)
            case TransactionUse.VISIT:
                first = next(iter(records_of(body.get("diseinfo"))), {})
                named = Fields(plain_fields(first, fields), self._options.institution, zone_of)
                yield from read_registration(named, place)
            case TransactionUse.STAY:
                yield from read_stay(number, read, place)
                self._deaths(number, fields, place, zone_of)
            case TransactionUse.LINE_CANCELLATION:
                yield from nhsa_cancellations.read_cancellation(number, read, place)
            case TransactionUse.SETTLEMENT:
                self._people.see(Fields(fields, self._options.institution or "-", zone_of), fields, place)
                codes = records_of(body.get("drug_trac_info") or body.get("drugtracinfo"))
                yield from nhsa_settlements.read_settlement(number, read, fields, place, codes)
            case TransactionUse.SETTLEMENT_CANCELLATION:
                yield from nhsa_settlements.read_settlement_cancellation(read, place)
            case TransactionUse.SETTLEMENT_LIST:
                yield from nhsa_settlements.read_settlement_list(read, fields, place)
            case _:
                yield from nhsa_settlements.read_reversed_message(read, fields, place)
        yield from self._medical(transaction, fields, body, place)

    def _medical(
        self, transaction: Transaction, fields: Mapping[str, object], body: Mapping[str, Any], place: RowPlace
    ) -> Iterator[Item]:
        """Yield a visit's diagnoses and operations; without `psn_no` they are nobody's."""
        fields = {**fields, INSTITUTION: filled(fields, INSTITUTION) or self._options.institution}
        if (
            transaction.use in {TransactionUse.VISIT, TransactionUse.STAY, TransactionUse.SETTLEMENT_LIST}
            and filled(fields, "psn_no") is not None
        ):
            diseases = records_of(body.get("diseinfo")) + records_of(body.get("opspdiseinfo"))
            yield from diagnoses(fields, diseases, place)
            done = [*records_of(body.get("oprninfo")), *records_of(body.get("opspdiseinfo"))]
            yield from operations(fields, done, place)

    def _person(self, fields: Mapping[str, object], place: RowPlace, zone_of: ZoneOf) -> Iterator[Item]:
        read = Fields(fields, self._options.institution or "-", zone_of)
        if read.person(needed=False):
            self._people.see(read, fields, place)
        else:
            yield Ignored("1101 人员信息 person: 无应答 without its answer")

    def _deaths(self, number: str, fields: Mapping[str, object], place: RowPlace, zone_of: ZoneOf) -> None:
        read = Fields(fields, self._options.institution, zone_of)
        if number == "2402":
            self._people.see_discharge(read, fields, place)
        elif number == "2405":
            self._people.forget_discharge(read)


def _order(found: Sequence[tuple[str, Mapping[str, object]]]) -> tuple[int, datetime]:
    """Return a file's place among others: without a time first, or last if it takes back."""
    for _, head in found:
        try:
            return 1, read_time(str(filled(head, "inf_time") or ""), UTC)
        except ValueProblem:
            continue
    uses = {one.use for number, _ in found if (one := find(number)) is not None}
    return (2 if uses and uses <= _TAKES_BACK else 0), datetime.min.replace(tzinfo=UTC)


def _lines_elsewhere(transaction: Transaction | None, message: Message) -> list[object]:
    """Return the nodes with fee lines in a message that should have none."""
    if transaction is not None and transaction.use is TransactionUse.LINES:
        return []
    if not message.body and (transaction is None or transaction.use is TransactionUse.COUNTED):
        told = {name: value for name, value in message.head.items() if text_of(value)}
        return [message.head] if holds_lines(told) else []
    own = () if transaction is None else transaction.nodes
    return [node for name, node in message.body.items() if name not in own and holds_lines(node)]


def _from_answer(transaction: Transaction, answer: Answer | None) -> Mapping[str, object]:
    """Return what only a message's answer has: the number of a visit or settlement, a person."""
    nodes = {} if answer is None else answer.nodes
    names = (*transaction.answer, "output") if transaction.answer else ()
    found = [record for name in names for record in records_of(nodes.get(name))[:1]]
    return plain_fields(*reversed(found))


def _names_a_visit(transaction: Transaction, message: Message, *parts: Mapping[str, object]) -> bool:
    """Return whether one of a transaction's ids is to be found, or, in a flat record, the field for it."""
    ids = {"mdtrt_id", "setl_id", "psn_no", "omsgid"} & {*transaction.needs}
    if not message.body and not ids.isdisjoint(message.head):
        return True
    return transaction.use is TransactionUse.PERSON or any(
        filled(part, name) is not None for part in (message.head, *parts) for name in ids
    )


def _other_nodes(
    transaction: Transaction, body: Mapping[str, Any], reason: Reason = Reason.NO_NODE
) -> Problem:
    """Say which nodes were found where which were expected."""
    return Problem(
        transaction.nodes[0],
        reason,
        shown(f"found {', '.join(body) or 'no node'}; expected {', '.join(transaction.nodes)}"),
    )


def _table(transaction: Transaction | None) -> str:
    return "claim_lines" if transaction is None else _TABLES.get(transaction.use, "claim_lines")
