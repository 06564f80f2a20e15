"""The public libraries' shapes become points: each row one, none guessed, none dropped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts.libraries import HD, HP, all_fourteen, book, pairs

from renzheng.central.checks.errors import KnowledgeError
from renzheng.central.checks.workbooks import read_workbook
from renzheng.rules.knowledge import words
from renzheng.rules.knowledge.points import Kind
from renzheng.rules.knowledge.reading import batch_of
from renzheng.rules.knowledge.sheets import heading, read_codes


def test_all_fourteen_files_give_a_point_for_each_row(tmp_path):
    for path, kind, number in all_fourteen(tmp_path):
        found = read_workbook(path)
        assert [point.kind for point in found.points] == [kind] * number, path.name
        assert found.points[0].batch == batch_of(path.name) != ""
        assert len({point.id for point in found.points}) == number
        assert all(point.words for point in found.points)


def test_pairs_have_window_merged_mains_and_what_could_not_be_read(tmp_path):
    found = read_workbook(pairs(tmp_path / "第七批.xlsx"))
    rows = [(one.items, one.value, one.unit, one.problem) for one in found.points]
    assert rows[0] == ((HP, HD), 1, "day", "")
    assert rows[1] == ((HP, "003110000060100"), 1, "day", "")
    assert rows[2][1:] == (1, "visit", "remark_not_read")  # its remark names an exception
    assert rows[3][1:] == (6, "hours", "")
    assert rows[4] == (("003110000030000",), 1, "hour", "code_rounded")
    assert found.points[2].words == "单次就诊; 急诊除外"
    assert [text for _, text in found.notes] == ["以下为按小时", "备注：按国家项目编码"]


def test_hours_are_of_one_day_and_two_days_are_not_guessed(tmp_path):
    path = next(path for path, _, _ in all_fourteen(tmp_path) if "8-1" in path.name or "八批-1" in path.name)
    rows = [(one.items[0], one.value, one.unit, one.problem) for one in read_workbook(path).points]
    assert rows == [
        ("003110000020000", 24, "day", ""),
        ("001109000010000", 1, "day", ""),
        ("001109000020000", None, "", "words_not_read"),
    ]


def test_a_name_with_two_limits_and_a_code_without_a_name_are_watched(tmp_path):
    names = [["药品通用名", "限定类型", "限定对象"]]
    names += [[name, "限性别", sex] for name, sex in (("甲", "男"), ("甲", "女"), ("丙", "女"))]
    codes = [["药品通用名", "国标代码"], ["甲", "XA01AAA001A001010100001"], ["乙", "XA01AAA001A001010100002"]]
    path = book(tmp_path / "药品.xlsx", {"名单": names, "代码": codes})
    rows = [(one.name, one.value, one.problem, one.words) for one in read_workbook(path).points]
    assert rows == [
        ("甲", None, "limits_differ", "男; 女"),
        ("乙", None, "name_not_listed", ""),
        ("丙", "F", "no_code", "女"),
    ]


def test_a_sheet_without_headings_is_named_and_a_file_of_them_refused(tmp_path):
    with pytest.raises(KnowledgeError, match="holds no knowledge"):
        read_workbook(book(tmp_path / "x.xlsx", {"s": [["随便", "什么"], ["一", "二"]]}))


@pytest.mark.parametrize(
    ("text", "codes", "problem"),
    [
        ("003110000060000", ("003110000060000",), ""),
        ("3110000060000", ("003110000060000",), ""),
        ("3110000060000.0", ("003110000060000",), ""),
        ("3.110000060000E+12", ("003110000060000",), ""),
        ("3.11E+12", (), "code_rounded"),
        ("１１０９", (), "code_not_read"),
        (" xa01aaa001a001010100001\u200b", ("XA01AAA001A001010100001",), ""),
        ("331201000350000", ("331201000350000",), ""),
        ("00330602013", ("00330602013",), ""),
        ("003110000060000、003110000060100", ("003110000060000", "003110000060100"), ""),
        ("", (), "no_code"),
        ("见附件", (), "code_not_read"),
    ],
)
def test_codes_are_read_whole_or_not_at_all(text, codes, problem):
    assert read_codes(text) == (codes, problem)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("药品通用名", "name"),
        ("国 标\n代码", "code"),
        ("项目编码（国家）", "code"),
        ("限定性别", "limit"),
        ("频 度", "each"),
        ("主项　编码", "main_code"),
        ("数量单位", "count_unit"),
        ("疗程周期（天）", "cycle"),
        ("随便", None),
    ],
)
def test_headings_are_known_however_they_are_spaced(text, means):
    assert heading(text) == means


@pytest.mark.parametrize(
    ("text", "hint", "kind", "value", "unit"),
    [
        ("男", None, "sex", "M", ""),
        ("限女性患者使用", None, "sex", "F", ""),
        ("男性儿童", Kind.SEX, "sex", None, ""),
        ("儿童", None, "age", "[0,18)", "year"),
        ("新生儿", None, "age", "[0,29)", "day"),
        ("14岁以下", None, "age", "[0,15)", "year"),
        ("不满6周岁", None, "age", "[0,6)", "year"),
        ("３岁至１４岁", None, "age", "[3,15)", "year"),
        ("6个月以上", None, "age", "[6,)", "month"),
        ("≥3岁且<14岁", None, "age", "[3,14)", "year"),
        ("28天以内", Kind.AGE, "age", "[0,29)", "day"),
        ("3岁至6岁（不含）", None, "age", "[3,6)", "year"),
        ("女性，14岁以上", None, "unread", None, ""),
        ("工伤、生育保险", None, "insurance", ("maternity", "work_injury"), ""),
        ("住院", None, "visit", ("inpatient",), ""),
        ("二级及以上医疗机构", None, "level", 2, "level"),
        ("14天", Kind.PERIOD, "period", 14, "day"),
        ("支付不超过十四天", Kind.PERIOD, "period", 14, "day"),
        ("每日不超过2次", None, "frequency", 2, "day"),
        ("2次/天", None, "frequency", 2, "day"),
        ("每周最多支付一次", Kind.PERIOD, "frequency", 1, "week"),
        ("单次就诊限1次", None, "frequency", 1, "visit"),
        ("每24小时不超过1次", None, "frequency", 1, "24 hours"),
        ("支付不超过一年，每周最多支付一次。", Kind.PERIOD, "period", None, ""),
        ("N18、Z49.1", Kind.DIAGNOSIS, "diagnosis", ("N18", "Z49.1"), ""),
        ("二线用药", Kind.AGE, "age", None, ""),
    ],
)
def test_limits_in_words(text, hint, kind, value, unit):
    found = words.read(text, hint)
    assert (found.kind, found.value, found.unit, bool(found.problem)) == (kind, value, unit, value is None)


@given(st.text(alphabet="男女岁天月级次日每不超过最多以上下含至-~0123456789工伤住院，。 ()≤<", max_size=14))
def test_words_are_read_in_full_or_not_at_all(text):
    found = words.read(text)
    assert (found.value is None) == bool(found.problem)
