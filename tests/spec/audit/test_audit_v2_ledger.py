"""The ledger, the keys and the ids of the audit's second version, as small tables.

Every billed row that came in with an institution and an amount is in exactly one box, and the boxes of an
institution sum to what it sent. One run answers all cases: each has an institution of its own.
"""

import csv
import datetime as dt
from collections import defaultdict
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts.audit_tables import few_rules

from renzheng.central.audit.errors import AuditUsageError, NothingInScopeError
from renzheng.central.audit.readback import read_verdicts
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.contracts.tables import BOXES, INPUT_TABLES, LEDGER, arrow_schema
from renzheng.rules.examples import expand

FIRST, LAST = dt.date(2026, 3, 1), dt.date(2026, 3, 31)
CODES = {"HD": "haemodialysis", "BED": "bed_day", "DRUG": "other", "PD": "peritoneal_dialysis"}


def hd(line="L1", day=4, month=3, amount=400, **more):
    time = f"2026-{month:02}-{day:02} 10:00"
    return {"line_id": line, "item_code": "HD", "service_time": time, "amount": amount, **more}


def back(line, target, amount=-400, quantity=-1, **more):
    return hd(line, amount=amount, quantity=quantity, reverses_line_id=target, **more)


BOTH = {"orphan_reversal": (1, "-400.00"), "insufficient": (1, "400.00")}

# name: (claim lines, what each box of the institution holds: rows and yuan)
CASES = {
    "a line without any sign of a patient or a device": ([hd()], {"insufficient": (1, "400.00")}),
    "a medicine is out of scope": ([hd(item_code="DRUG")], {"out_of_scope": (1, "400.00")}),
    "so is peritoneal dialysis": ([hd(item_code="PD")], {"out_of_scope": (1, "400.00")}),
    "a code that no catalogue knows": ([hd(item_code="ZZ9")], {"unknown_code": (1, "400.00")}),
    "a line before the period": ([hd(month=2)], {"outside_period": (1, "400.00")}),
    "a line after the period": ([hd(month=4)], {"outside_period": (1, "400.00")}),
    # reversals
    "wholly taken back": ([hd(), back("R1", "L1")], {"reversed": (2, "0.00")}),
    "taken back by a row that was written with a positive sign": (
        [hd(), back("R1", "L1", 400, 1)],
        {"reversed": (2, "800.00")},
    ),
    "taken back in part: the rest is the line's": (
        [hd(quantity=2), back("R1", "L1", -150)],
        {"insufficient": (1, "250.00"), "reversed": (1, "0.00")},
    ),
    "a reversal that was itself reversed": (
        [hd(), back("R1", "L1"), back("R2", "R1", 400, 1)],
        {"insufficient": (1, "400.00"), "reversed": (2, "0.00")},
    ),
    "a chain of five": (
        [
            hd(),
            back("R1", "L1"),
            back("R2", "R1", 400, 1),
            back("R3", "R2"),
            back("R4", "R3", 400, 1),
            back("R5", "R4"),
        ],
        {"reversed": (6, "0.00")},
    ),
    "all of the quantity taken back, and half of the yuan kept": (
        [hd(), back("R1", "L1", -200)],
        {"insufficient": (1, "200.00"), "reversed": (1, "0.00")},
    ),
    "all of the yuan taken back, and the quantity kept": (
        [hd(), back("R1", "L1", -400, 0)],
        {"reversed": (2, "0.00")},
    ),
    "a reversal of nothing": ([back("R1", "NONE")], {"orphan_reversal": (1, "-400.00")}),
    "a bill that says it takes back nothing known is a bill": (
        [back("L1", "NONE", 400, 1)],
        {"insufficient": (1, "400.00")},
    ),
    "a reversal of another person's line": ([hd(), back("R1", "L1", person_id="P2")], BOTH),
    "a reversal that names the line in small letters": (
        [hd("Ab1"), back("R1", "aB1")],
        {"reversed": (2, "0.00")},
    ),
    "small letters that fit two lines fit none": (
        [hd("Ab1"), hd("AB1", 5), back("R1", "ab1")],
        {"orphan_reversal": (1, "-400.00"), "insufficient": (2, "800.00")},
    ),
    "two reversals that take each other back": (
        [back("R1", "R2"), back("R2", "R1")],
        {"orphan_reversal": (2, "-800.00")},
    ),
    "a bill that takes back itself": ([back("L1", "L1", 400, 1)], {"insufficient": (1, "400.00")}),
    "a reversal in the period of a line before it": (
        [hd(month=2), back("R1", "L1")],
        {"outside_period": (1, "400.00"), "reversed": (1, "-400.00")},
    ),
    "a reversal after the period of a line in it": (
        [hd(), back("R1", "L1", month=4)],
        {"reversed": (2, "0.00")},
    ),
    "a medicine taken back in part": (
        [hd(item_code="DRUG"), back("R1", "L1", -100, 0, item_code="DRUG")],
        {"out_of_scope": (1, "300.00"), "reversed": (1, "0.00")},
    ),
    "a negative amount without a target": (
        [hd(amount=-50)],
        {"orphan_reversal": (1, "-50.00")},
    ),
    # rows that are refused, and ids
    "a negative quantity without a target is refused, and its yuan are counted": (
        [hd(quantity=-1, amount=-400)],
        {"rejected_by_audit": (1, "-400.00")},
    ),
    "an unknown kind of visit is refused, and its yuan are counted": (
        [hd(), hd("L2", visit_type="domestic", amount=12.34)],
        {"insufficient": (1, "400.00"), "rejected_by_audit": (1, "12.34")},
    ),
    "the same row twice is one": (
        [hd(), hd()],
        {"insufficient": (1, "400.00"), "rejected_by_audit": (1, "400.00")},
    ),
    "a blank name refuses nothing": ([hd(item_name=None)], {"insufficient": (1, "400.00")}),
    "a code in full-width and small letters": ([hd(item_code=" ｈd")], {"insufficient": (1, "400.00")}),
}
SLUGS = {name: f"H{number:02}" for number, name in enumerate(CASES, start=1)}


def tables():
    rows = defaultdict(list)
    rows["item_catalogue"] += expand(
        "item_catalogue", [{"item_code": code, "item_class": kind} for code, kind in CODES.items()]
    )
    for name, (lines, _) in CASES.items():
        hospital = SLUGS[name]
        rows["institutions"] += expand("institutions", [{"institution_id": hospital}])
        own = [{"institution_id": hospital, "person_id": "P1", **line} for line in lines]
        rows["claim_lines"] += expand("claim_lines", own)
    return rows


def write(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    for name, found in rows.items():
        table = pa.Table.from_pylist(list(found), schema=arrow_schema(INPUT_TABLES[name]))
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


def audit(folder, out):
    rules = few_rules(out.with_name(f"{out.name}-rules"))
    return run_audit(AuditRequest(folder, FIRST, LAST, out, rules=rules))


def boxes_of(out, institution):
    rows = pq.read_table(out / "ledger.parquet").to_pylist()
    return {
        row["box"]: (row["lines"], f"{row['amount']:.2f}")
        for row in rows
        if row["institution_id"] == institution
    }


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ledger")
    result = audit(write(folder / "tables", tables()), folder / "out")
    return folder / "out", result.summary


@pytest.mark.parametrize("name", CASES)
def test_box(answered, name):
    assert boxes_of(answered[0], SLUGS[name]) == CASES[name][1]


@pytest.mark.parametrize("name", CASES)
def test_the_boxes_sum_to_what_was_sent(answered, name):
    sent = sum(Decimal(str(line["amount"])) for line in CASES[name][0])
    held = [Decimal(amount) for _, amount in boxes_of(answered[0], SLUGS[name]).values()]
    assert sum(held) == sent


def test_the_file_has_the_ledgers_form(answered):
    schema = pq.read_schema(answered[0] / "ledger.parquet")
    assert schema.names == [column.name for column in LEDGER.columns]
    assert {str(schema.field(name).type) for name in ("amount", "fund_amount")} == {"decimal128(16, 2)"}


def test_the_summary_has_the_same_amounts_as_texts(answered):
    out, summary = answered
    rows = pq.read_table(out / "ledger.parquet").to_pylist()
    assert [row["amount"] for row in summary["ledger"]["institutions"]] == [
        str(row["amount"]) for row in rows
    ]
    assert list(summary["ledger"]["total"]) == [box for box in BOXES if box in {row["box"] for row in rows}]
    total = sum(Decimal(box["amount"]) for box in summary["ledger"]["total"].values())
    assert total == sum(row["amount"] for row in rows)


def small(**more):
    rows = {name: list(expand(name, found)) for name, found in more.items()}
    known = [{"item_code": code, "item_class": kind} for code, kind in CODES.items()]
    rows.setdefault("item_catalogue", list(expand("item_catalogue", known)))
    return rows


def test_another_institutions_line_of_the_same_id_and_the_funds_part(tmp_path):
    lines = [
        hd(fund_amount=300),
        hd("L2", fund_amount=100.5, item_code="DRUG"),
        hd("L3", item_code="ZZ9"),
        hd(institution_id="H2", amount=777),
    ]
    summary = audit(write(tmp_path / "t", small(claim_lines=lines)), tmp_path / "out").summary
    assert boxes_of(tmp_path / "out", "H2") == {"insufficient": (1, "777.00")}
    assert boxes_of(tmp_path / "out", "H1")["insufficient"] == (1, "400.00")
    funds = {box: row["fund_amount"] for box, row in summary["ledger"]["total"].items()}
    assert funds == {"insufficient": "300.00", "out_of_scope": "100.50", "unknown_code": None}


def test_what_the_importer_refused_is_in_its_box(tmp_path):
    folder = write(tmp_path / "t", small(claim_lines=[hd()]))
    with (folder / "rejects.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["table", "institution_id", "amount", "reason", "file", "line"])
        rows.writerow(["claim_lines", "h1", "12.34", "no person", "a.csv", "2"])
        rows.writerow(["claim_lines", "H1", "twelve", "no amount", "a.csv", "3"])
        rows.writerow(["stays", "H1", "1.00", "no time", "a.csv", "4"])
    audit(folder, tmp_path / "out")
    assert boxes_of(tmp_path / "out", "H1")["rejected_by_import"] == (1, "12.34")


def test_a_torn_line_of_a_csv_still_counts(tmp_path):
    folder = write(tmp_path / "t", small(claim_lines=[hd()]))
    columns = [column.name for column in INPUT_TABLES["claim_lines"].columns]
    (row,) = expand("claim_lines", [hd()])
    values = ["" if row[name] is None else str(row[name]) for name in columns]
    values[columns.index("service_time")] = "2026-03-04T02:00:00Z"
    torn = [*values, "one", "too", "many"]
    torn[0] = "L2"
    (folder / "claim_lines.parquet").unlink()
    text = "\n".join(",".join(line) for line in (columns, values, torn)) + "\n"
    (folder / "claim_lines.csv").write_text(text, encoding="utf-8")
    audit(folder, tmp_path / "out")
    assert boxes_of(tmp_path / "out", "H1") == {
        "insufficient": (1, "400.00"),
        "rejected_by_audit": (1, "400.00"),
    }


def test_of_two_rows_with_one_key_the_one_in_the_later_file_holds(tmp_path):
    folder = write(tmp_path / "t", small(claim_lines=[]))
    (folder / "claim_lines.parquet").unlink()
    for name, amount in (("2026-03-05.parquet", 300), ("2026-03-09.parquet", 500)):
        rows = list(expand("claim_lines", [hd(amount=amount)]))
        (folder / "claim_lines").mkdir(exist_ok=True)
        pq.write_table(
            pa.Table.from_pylist(rows, schema=arrow_schema(INPUT_TABLES["claim_lines"])),
            folder / "claim_lines" / name,
        )
    audit(folder, tmp_path / "out")
    assert boxes_of(tmp_path / "out", "H1") == {
        "insufficient": (1, "500.00"),
        "rejected_by_audit": (1, "300.00"),
    }


def session(person, hospital="H1"):
    """Two events of one treatment on the fourth of March."""
    both = {"person_id": person, "institution_id": hospital}
    return [
        {"event_id": f"{hospital}-{person}-1", "occurred_at": "2026-03-04 08:00", **both},
        {
            "event_id": f"{hospital}-{person}-2",
            "event_type": "sign_out",
            "occurred_at": "2026-03-04 12:00",
            **both,
        },
    ]


# line: (as the bill spells the person and the institution, as the kiosk does)
SPELLINGS = {
    "small": ("11010119500101101x", "H1", "11010119500101101X", "H1"),
    "wide": ("Ｐ１", "H1", "P1", "H1"),
    "blank": ("p 2", "H1", "P2", "H1"),
    "invisible": ("P\u200b3", "H1", "P3", "H1"),
    "institution": ("P4", "Ha1", "P4", "HA1"),
}


def test_one_id_in_two_spellings(tmp_path):
    rows = {
        "institutions": [{"institution_id": "hA1"}],
        "claim_lines": [
            hd(line, person_id=billed, institution_id=at) for line, (billed, at, _, _) in SPELLINGS.items()
        ],
        "attendance": [event for _, _, seen, at in SPELLINGS.values() for event in session(seen, at)],
    }
    audit(write(tmp_path / "t", small(**rows)), tmp_path / "out")
    found = list(read_verdicts(tmp_path / "out"))
    assert {one.line_id: one.reason for one in found} == dict.fromkeys(SPELLINGS, "verified_session")
    # an institution is written as its own table writes it, and capitals where it has no row there
    assert {one.institution_id for one in found} == {"H1", "hA1"}


# line: (the numbers of one person, old and new; the number that is billed, the number that was seen)
ALIASES = {
    "old to new": ([("A9", "A1")], "A9", "A1"),
    "a chain": ([("B9", "B5"), ("B5", "B1")], "B9", "B1"),
    "both to a third": ([("C1", "C5"), ("C9", "C5")], "C9", "C1"),
    "a circle": ([("D9", "D1"), ("D1", "D9")], "D9", "D1"),
}


def test_two_numbers_of_one_person(tmp_path):
    aliases = [
        {"person_id": old, "alias_of": new, "since": None}
        for pairs, _, _ in ALIASES.values()
        for old, new in pairs
    ]
    aliases.append({"person_id": "E9", "alias_of": "E1", "since": None})
    rows = small(
        claim_lines=[
            *(hd(line.replace(" ", ""), person_id=billed) for line, (_, billed, _) in ALIASES.items()),
            hd("dead", person_id="E1", day=20),
        ],
        attendance=[event for _, _, seen in ALIASES.values() for event in session(seen)],
        persons=[{"person_id": "E1"}, {"person_id": "E9", "death_date": dt.date(2026, 2, 1)}],
    )
    folder = write(tmp_path / "t", {**rows, "person_aliases": aliases})
    summary = audit(folder, tmp_path / "out").summary
    wanted = dict.fromkeys((line.replace(" ", "") for line in ALIASES), "verified_session")
    found = {one.line_id: one.reason for one in read_verdicts(tmp_path / "out")}
    # a death under the old number is the person's
    assert found == {**wanted, "dead": "after_death"}
    assert summary["alias_circles"] == [["D1", "D9"]]


CATALOGUES = {
    "in force": ({"valid_from": dt.date(2026, 1, 1)}, "insufficient"),
    "not yet": ({"valid_from": dt.date(2026, 3, 5)}, "unknown_code"),
    "no more": ({"valid_to": dt.date(2026, 3, 3)}, "unknown_code"),
    "of the institution's region": ({"region_code": "371121"}, "insufficient"),
    "of its province": ({"region_code": "370000"}, "insufficient"),
    "of another region": ({"region_code": "110000"}, "unknown_code"),
}


def test_a_code_is_what_the_catalogue_says_on_its_day_in_its_region(tmp_path):
    codes = {name: f"HD{number}" for number, name in enumerate(CATALOGUES)}
    rows = {
        "institutions": [{"institution_id": f"C-{code}", "region_code": "371121"} for code in codes.values()],
        "item_catalogue": [
            {"item_code": codes[name], "item_class": "haemodialysis", **more}
            for name, (more, _) in CATALOGUES.items()
        ],
        "claim_lines": [hd(item_code=code, institution_id=f"C-{code}") for code in codes.values()],
    }
    audit(write(tmp_path / "t", small(**rows)), tmp_path / "out")
    for name, (_, box) in CATALOGUES.items():
        assert boxes_of(tmp_path / "out", f"C-{codes[name]}") == {box: (1, "400.00")}, name


def test_a_regional_row_beats_the_national_one(tmp_path):
    rows = {
        "institutions": [{"institution_id": "H1", "region_code": "371121"}],
        "item_catalogue": [
            {"item_code": "HD", "item_class": "other"},
            {"item_code": "HD", "item_class": "haemodialysis", "region_code": "371121"},
        ],
        "claim_lines": [hd(), hd("L2", institution_id="H2")],
    }
    audit(write(tmp_path / "t", small(**rows)), tmp_path / "out")
    assert boxes_of(tmp_path / "out", "H1") == {"insufficient": (1, "400.00")}
    assert boxes_of(tmp_path / "out", "H2") == {"out_of_scope": (1, "400.00")}


def test_lines_of_which_no_code_is_known_are_no_finished_audit(tmp_path):
    rows = small(claim_lines=[hd()])
    del rows["item_catalogue"]
    with pytest.raises(NothingInScopeError, match="HD"):
        audit(write(tmp_path / "t", rows), tmp_path / "out")


def test_a_day_without_dialysis_or_bed_is_a_finished_audit(tmp_path):
    summary = audit(
        write(tmp_path / "t", small(claim_lines=[hd(item_code="DRUG")])), tmp_path / "out"
    ).summary
    assert summary["verdicts"] == []


def test_a_region_without_a_file_is_refused_with_those_that_have_one(tmp_path):
    folder = write(tmp_path / "t", small(claim_lines=[hd()]))
    with pytest.raises(AuditUsageError, match="371121"):
        run_audit(AuditRequest(folder, FIRST, LAST, tmp_path / "out", region="999999"))
