"""A site without a catalogue begins with the one that is shipped."""

import pyarrow.parquet as pq
import pytest

from renzheng.central.claims.catalogue import starter_rows, write_starter
from renzheng.contracts.errors import UsageError
from renzheng.contracts.ids import normalised_id
from renzheng.contracts.tables import ITEM_CATALOGUE, ITEM_CLASSES, ITEM_UNITS, arrow_schema


def test_it_is_a_canonical_table(tmp_path):
    written = pq.read_table(write_starter(tmp_path / "tables"))
    assert written.schema.equals(arrow_schema(ITEM_CATALOGUE), check_metadata=False)
    assert set(written["item_class"].to_pylist()) <= set(ITEM_CLASSES)
    assert set(written["unit"].to_pylist()) <= set(ITEM_UNITS)


def test_its_codes_are_national_ones_and_each_stands_once():
    codes = [row["item_code"] for row in starter_rows()]
    assert all(len(code) == 15 and code.isdigit() and normalised_id(code) == code for code in codes)
    assert len(codes) == len(set(codes))


def test_what_the_public_library_says_of_dialysis_and_beds_is_in_it():
    classes = {row["item_code"]: row["item_class"] for row in starter_rows()}
    assert classes["003110000100000"] == "haemoperfusion"
    assert {classes[f"00311000006{sub}"] for sub in ("0000", "0100", "0200")} == {"haemodialysis"}
    assert {classes[f"0011090000{bed}0000"] for bed in range(1, 6)} == {"bed_day"}
    assert classes["003110000020000"] == "peritoneal_dialysis"


def test_a_site_s_own_catalogue_is_never_replaced(tmp_path):
    (tmp_path / "item_catalogue.csv").write_text("item_code\n")
    with pytest.raises(UsageError):
        write_starter(tmp_path)
    assert (tmp_path / "item_catalogue.csv").read_text() == "item_code\n"
