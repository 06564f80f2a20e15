"""A pack keeps every edition of a point, and says what its signature covers."""

import datetime as dt
from dataclasses import replace

import pytest

from renzheng.contracts import keys
from renzheng.rules.errors import RulePackError, UnsignedPackError
from renzheng.rules.knowledge.comparing import differences
from renzheng.rules.knowledge.packfile import KnowledgePack, merged, read_pack, write_pack
from renzheng.rules.knowledge.points import Kind, Point, Power

OLD, NEW = dt.date(2026, 1, 1), dt.date(2026, 7, 1)
SEX = Point("1-sex-XA", Kind.SEX, ("XA",), "甲", "M", batch="1", source="a.xlsx:s:2", power=Power.WARN)
OTHER = replace(SEX, id="1-sex-XB", items=("XB",))
ITEM = replace(SEX, id="1-sex-0031", items=("0031",))


def test_what_is_written_is_read_again_and_a_change_shows(tmp_path):
    key, path = keys.generate_key(), tmp_path / "pack"
    age = replace(SEX, id="age", kind=Kind.AGE, value=("a", "b"), valid_to=NEW, power_from=OLD, problem="x")
    write_pack(KnowledgePack((SEX, age), ({"author": "a"},), (("s:1", "注"),), {"H1": "0031"}), path, key)
    read = read_pack(path)
    assert (set(read.points), read.codes, read.notes) == ({SEX, age}, {"H1": "0031"}, (("s:1", "注"),))
    assert read.signer([key]) == keys.key_id(key)
    with pytest.raises(UnsignedPackError, match="does not name"):
        read.signer([keys.generate_key()])
    path.write_bytes(path.read_bytes().replace(b'"warn"', b'"block"'))
    with pytest.raises(UnsignedPackError, match="not those that were signed"):
        read_pack(path).signer([key])


@pytest.mark.parametrize(
    "content", [b"", b"{}\n", b'{"format":"renzheng-knowledge/1","points":3}\n{}\n', b"\xff\xfe\n\n"]
)
def test_what_is_no_pack_is_refused(tmp_path, content):
    (tmp_path / "pack").write_bytes(content)
    with pytest.raises(RulePackError, match="cannot be read as a knowledge pack"):
        read_pack(tmp_path / "pack")


def test_a_new_edition_ends_what_it_leaves_out_and_begins_what_it_says_otherwise():
    pack = KnowledgePack((SEX, OTHER, ITEM))
    fresh = [replace(SEX, value="F", power=Power.WATCH)]
    points = {
        (one.id, one.value, one.valid_from, one.valid_to, one.power)
        for one in merged(pack, fresh, NEW).points
    }
    last = NEW - dt.timedelta(days=1)
    assert points == {
        ("1-sex-XA", "M", None, last, Power.WARN),
        ("1-sex-XA", "F", NEW, None, Power.WATCH),
        ("1-sex-XB", "M", None, last, Power.WARN),
        ("1-sex-0031", "M", None, None, Power.WARN),  # items are another file of that batch
    }
    again = merged(merged(pack, fresh, NEW), fresh, NEW)
    assert len(again.points) == 4
    changes = [(one.change, one.id) for one in differences(pack, again, NEW)]
    assert changes == [("changed", "1-sex-XA"), ("withdrawn", "1-sex-XB")]
    assert list(differences(pack, again, OLD)) == []


def test_power_begins_on_its_day_and_never_where_the_limit_was_not_read():
    point = replace(SEX, power_from=NEW)
    assert [point.power_on(day) for day in (OLD, NEW)] == [Power.WATCH, Power.WARN]
    assert replace(point, problem="words_not_read").power_on(NEW) is Power.WATCH
