"""Reversals by chance: the ledger closes for yuan and for the fund's part, and the oracle says the same.

Each small world is an institution of its own; one run of the audit answers them all.
"""

import datetime as dt
import random
from collections import defaultdict
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts.audit_tables import at, few_rules, filled, line

from renzheng.central.audit.oracle import Oracle
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.contracts.tables import INPUT_TABLES, arrow_schema

FIRST, LAST = dt.date(2026, 3, 2), dt.date(2026, 3, 20)
WORLDS = 400
AMOUNTS = (400, 400, Decimal("99.99"), Decimal("0.01"), 0, Decimal("12345678901.23"))
SHARES = (None, Decimal("0.7"), Decimal("0.5"), Decimal("0.3333"), 1, 0, Decimal("1.2"))
PARTS = (1, 1, Decimal("0.5"), Decimal("0.25"), Decimal("0.33"), 2)
CODES = ("HD", "HD", "BED", "OTH", "PD", "ZZ9")
DAYS = ("04 10:00", "04 10:00", "05 00:10", "20 23:50", "01 12:00", "25 12:00")


def cents(value):
    return Decimal(value).quantize(Decimal("0.01"))


def bill(chance, number):
    amount = chance.choice(AMOUNTS)
    share = chance.choice(SHARES)
    fund = None if share is None else cents(amount * share)
    quantity = chance.choice([1, 1, 2, 3, Decimal("0.5")])
    more = {"quantity": quantity, "amount": amount, "fund_amount": fund}
    return line(f"L{number}", chance.choice(DAYS), chance.choice(CODES), **more)


def reversal(chance, number, sent):
    """A row that takes back one that was sent before it, wholly or in part, or nothing that is known."""
    target = chance.choice(sent)
    part = chance.choice(PARTS) * chance.choice([-1, -1, -1, -1, 1])
    fund = target["fund_amount"]
    told = chance.choice(["none", "none", "same", "same", "other", "wrong sign"])
    if told == "none" or (fund is None and told != "other"):
        fund = None
    elif told == "other":
        fund = chance.choice([Decimal("-0.01"), Decimal(-500), Decimal(20)])
    else:
        fund = cents(fund * part * (-1 if told == "wrong sign" else 1))
    named = chance.choice(
        [target["line_id"]] * 12 + [target["line_id"].lower(), "NONE", f"R{number}", f"R{number + 1}"]
    )
    return {
        **target,
        "line_id": f"R{number}",
        "reverses_line_id": named,
        "quantity": cents(target["quantity"] * part),
        "amount": cents(target["amount"] * part),
        "fund_amount": fund,
        "service_time": chance.choice([target["service_time"], at(chance.choice(DAYS))]),
        "person_id": chance.choice(["P1"] * 9 + ["P2"]),
    }


def world(chance):
    sent = [bill(chance, number) for number in range(chance.randint(1, 3))]
    for number in range(chance.randint(1, 4)):
        sent.append(reversal(chance, number, sent))
    return sent


@pytest.fixture(scope="module")
def rows():
    """The same worlds every time."""
    chance = random.Random(11)
    together = defaultdict(list)
    for number in range(WORLDS):
        for name, some in filled({"claim_lines": world(chance)}, f"W{number}-").items():
            together[name] += some if name != "item_catalogue" or not together[name] else []
    return together


@pytest.fixture(scope="module")
def ledgers(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reversals")
    (folder / "tables").mkdir()
    for name in ("claim_lines", "item_catalogue"):
        table = pa.Table.from_pylist(rows[name], schema=arrow_schema(INPUT_TABLES[name]))
        pq.write_table(table, folder / "tables" / f"{name}.parquet")
    rules = few_rules(folder / "rules")
    run_audit(AuditRequest(folder / "tables", FIRST, LAST, folder / "out", rules=rules))
    by_engine = {
        (row["institution_id"], row["box"]): (row["lines"], row["amount"], row["fund_amount"])
        for row in pq.read_table(folder / "out" / "ledger.parquet").to_pylist()
    }
    judged = Oracle(rows, FIRST, LAST).judge().ledger
    return {
        "duckdb": by_engine,
        "oracle": {key: (box.lines, box.amount, box.fund_amount) for key, box in judged.items()},
    }


def test_the_engine_says_what_the_oracle_says(ledgers):
    told = [ledgers["duckdb"], ledgers["oracle"]]
    differing = {key: [one.get(key) for one in told] for key in {*told[0], *told[1]}}
    assert {key: both for key, both in differing.items() if both[0] != both[1]} == {}


@pytest.mark.parametrize("by", ["duckdb", "oracle"])
def test_the_ledger_closes_for_yuan_and_for_the_funds_part(rows, ledgers, by):
    sent, held = defaultdict(lambda: [0, 0]), defaultdict(lambda: [0, 0])
    for row in rows["claim_lines"]:
        for place, name in enumerate(("amount", "fund_amount")):
            sent[row["institution_id"]][place] += row[name] or 0
    for (institution, _), (_, amount, fund) in ledgers[by].items():
        held[institution][0] += amount
        held[institution][1] += fund or 0
    assert held == sent


@pytest.mark.parametrize("by", ["duckdb", "oracle"])
def test_of_a_bill_the_fund_never_paid_less_than_nothing(rows, ledgers, by):
    judged = ("supported", "contradicted", "insufficient", "out_of_scope", "unknown_code")
    odd = {
        row["institution_id"] for row in rows["claim_lines"] if row["amount"] >= 0 > (row["fund_amount"] or 0)
    }
    below = {key[0] for key, (_, _, fund) in ledgers[by].items() if key[1] in judged and (fund or 0) < 0}
    assert below <= odd


def half(number, fund=None, part=200):
    taken = {"quantity": -1, "amount": -part, "reverses_line_id": "L1", "fund_amount": fund}
    return line(f"R{number}", "04 11:00", **taken)


WHOLE = line("L1", "04 10:00", fund_amount=300)
# name: (reversals of a line of 400 yuan of which the fund paid 300, what of the rest the fund paid)
RESTS = {
    "the reversal says what the fund gets back": ([half(1, Decimal(-100))], 200),
    "it says so without a sign": ([half(1, 100)], 200),
    "it does not say: the fund's share of what is left": ([half(1)], 150),
    "to the cent, half a cent up": ([half(1, part=Decimal("0.02"))], Decimal("299.99")),
    "one says and one does not": ([half(1, -50, 100), half(2, part=100)], 175),
    "more than it paid: nothing": ([half(1, -350)], 0),
    "nearly nothing, though half is left: no more than is left": ([half(1, -1)], 200),
    "two reversals that do not say": ([half(1, part=100), half(2, part=100)], 150),
}


@pytest.mark.parametrize("name", RESTS)
def test_the_funds_part_of_what_is_left(name):
    reversals, rest = RESTS[name]
    held = Oracle(filled({"claim_lines": [WHOLE, *reversals]}), FIRST, LAST).judge().ledger
    assert held["H1", "insufficient"].fund_amount == rest
    assert sum(box.fund_amount or 0 for box in held.values()) == sum(
        row["fund_amount"] or 0 for row in (WHOLE, *reversals)
    )


def test_a_line_of_which_nobody_knows_the_funds_part_stays_so():
    rows = [{**WHOLE, "fund_amount": None}, half(1, -100)]
    held = Oracle(filled({"claim_lines": rows}), FIRST, LAST).judge().ledger
    assert held["H1", "insufficient"].fund_amount is None
    assert held["H1", "reversed"].fund_amount == -100
