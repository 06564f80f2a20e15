"""Delimited text: encodings decided over the file, and broken lines that cost nothing but themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renzheng.central.claims.delimited import BadLine, HeaderError, Record, open_table
from renzheng.central.claims.encoding import LINE_LIMIT_BYTES, Encoding, EncodingError, detect_encoding
from renzheng.central.claims.rejects import Reason


def _open(tmp_path, content, **options):
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_table(path, **options)


def _rows(tmp_path, content, **options):
    """Each row as (line, values) or (line, reason)."""
    return [
        (row.place.line, tuple(row.fields.values()) if isinstance(row, Record) else row.problem.reason)
        for row in _open(tmp_path, content, **options).rows
    ]


@pytest.mark.parametrize(
    ("codec", "bom"),
    [("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("gb18030", b"")],
    ids=["utf-8", "utf-8-bom", "gb18030"],
)
def test_the_encoding_is_found(tmp_path, codec, bom):
    rows = _rows(tmp_path, bom + "编号,名称\r\n1,血液透析\r\n2,镕𬭎\r\n".encode(codec))
    assert rows == [(2, ("1", "血液透析")), (3, ("2", "镕𬭎"))]
    assert _open(tmp_path, bom + "编号,名称\n".encode(codec)).columns == ("编号", "名称")


def test_ascii_is_utf8(tmp_path):
    (tmp_path / "a").write_bytes(b"a,b\n1,2\n")
    assert detect_encoding(tmp_path / "a") == Encoding("utf-8")


def test_a_stray_gb18030_line_in_a_utf8_file_loses_its_names_only(tmp_path):
    content = "a,b\n1,血液\n2,透析\n".encode() + "3,床位费\n".encode("gb18030") + "4,好\n".encode()
    assert _rows(tmp_path, content) == [
        (2, ("1", "血液")),
        (3, ("2", "透析")),
        (4, ("3", "\ufffd")),
        (5, ("4", "好")),
    ]


def test_a_stray_utf8_line_in_a_gb18030_file_is_not_garbled(tmp_path):
    content = "a,b\n1,血液\n2,透析\n".encode("gb18030") + "3,床位费用\n".encode() + "4,好\n".encode("gb18030")
    assert "3,床位费用".encode().decode("gb18030")  # it would decode, to something else
    assert _rows(tmp_path, content)[2] == (4, ("3", "\ufffd"))


@pytest.mark.parametrize("text", ["联通", "一二三", "血液透析费", "张三丰,李四", "é"])
def test_real_gb18030_text_is_not_taken_for_utf8(text):
    assert Encoding("gb18030").decode(text.encode("gb18030")) == text


@pytest.mark.parametrize("text", ["café", "β2-MG", "血液", "血清α测定", "£5"])
def test_real_utf8_text_is_not_taken_for_gb18030(text):
    assert Encoding("utf-8").decode(text.encode()) == text


def test_gb18030_that_happens_to_be_utf8_is_not_garbled(tmp_path):
    assert "血液".encode("gb18030").decode("utf-8") == "ѪҺ"
    assert _rows(tmp_path, "a,b\n1,血液\n".encode("gb18030")) == [(2, ("1", "血液"))]
    content = "a,b\n1,透析\n".encode() + "2,血液\n".encode("gb18030")
    assert _rows(tmp_path, content) == [(2, ("1", "透析")), (3, ("2", "\ufffd"))]


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=3, max_size=12))
def test_chinese_text_comes_back_in_either_encoding(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "a.csv"
    for codec in ("utf-8", "gb18030"):
        path.write_bytes(f"a,b\n血液透析治疗,{text}\n".encode(codec))
        assert [row.fields["b"] for row in open_table(path).rows] == [text]


def test_a_given_encoding_is_held_to(tmp_path):
    assert _rows(tmp_path, "a,b\n1,床位费用\n".encode(), encoding="gbk") == [(2, Reason.MIXED_ENCODING)]


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_utf16_is_known_by_its_mark(tmp_path, codec, end):
    text = f"\ufeffa,b{end}1,血吊𬭎{end}2,x\0{end}3,y"  # 吊 is U+540A: its bytes hold a line feed
    assert _rows(tmp_path, text.encode(codec)) == [
        (2, ("1", "血吊𬭎")),
        (3, ("2", "x\ufffd")),
        (4, ("3", "y")),
    ]


def test_half_a_character_of_utf16_costs_its_line(tmp_path):
    content = "\ufeffa,b\n1,血\n2,".encode("utf-16-le") + b"\x00\xd8" + "\n3,y".encode("utf-16-le") + b"\x01"
    assert _rows(tmp_path, content) == [(2, ("1", "血")), (3, ("2", "\ufffd")), (4, ("3", "y\ufffd"))]


def test_utf32_is_refused_by_name(tmp_path):
    with pytest.raises(EncodingError, match="UTF-32"):
        _open(tmp_path, "\ufeffa,b\n".encode("utf-32-le"))


@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
def test_lines_may_end_with_carriage_returns_alone(tmp_path, codec):
    content = "a,b\r1,血液\r\r2,透析\r".encode(codec)
    assert _rows(tmp_path, content) == [(2, ("1", "血液")), (4, ("2", "透析"))]


def test_a_line_feed_in_a_cell_ends_no_line_of_carriage_returns(tmp_path):
    assert _rows(tmp_path, b'a,b\r1,"x\ny"\r2,z\r') == [(2, ("1", "x\ny")), (3, ("2", "z"))]


def test_an_over_long_line_of_carriage_returns_is_refused_in_bounded_memory(tmp_path):
    content = b"a,b\r" + b"1," + b"x" * (3 * LINE_LIMIT_BYTES) + b"\r3,4\r"
    assert _rows(tmp_path, content) == [(2, Reason.TOO_LONG), (3, ("3", "4"))]


@pytest.mark.parametrize(
    "text", ["血液透析治療", "持續性血液淨化", "床位費", "國民健康保險", "台北市立聯合醫院,血液透析,王小明"]
)
def test_big5_is_refused_and_not_read_as_other_characters(tmp_path, text):
    with pytest.raises(EncodingError, match="Big5"):
        _open(tmp_path, f"a,b\n1,{text}\n".encode("big5"))


def test_big5_in_a_long_file_is_refused(tmp_path):
    names = "".join(f"{n},血液透析治療{n}\n" for n in range(500))
    with pytest.raises(EncodingError, match="Big5"):
        _open(tmp_path, ("a,b\n" + names).encode("big5"))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "李玥",
            "玥珺琋",
            "李玥,张瑄,王珺",
            "一次性使用血液透析器",
            "维持性血液透析（含耗材）",
            "喆堃",
            "镕",
            "α-酮酸片",
        ),
        *("血液透濾過", "輸血費", "㎡", "５０㎎", "…—", "贠赟赪", "羋玥"),
    ],
)
def test_ordinary_gb18030_is_never_taken_for_big5(tmp_path, text):
    rows = _rows(tmp_path, f"a,b\n1,{text.replace(',', ' ')}\n".encode("gb18030"))
    assert rows == [(2, ("1", text.replace(",", " ")))]


def test_a_user_who_names_the_encoding_is_believed(tmp_path):
    content = "a,b\n1,血液透析治療\n".encode("big5")
    assert len(list(_open(tmp_path, content, encoding="gb18030").rows)) == 1


KNOWN = frozenset({"line_id", "person_id", "amount"})


@pytest.mark.parametrize(
    "head",
    [
        "line_id,person_id,amount",
        "LINE_ID,Person_Id,AMOUNT",
        "ｌｉｎｅ＿ｉｄ, person_id ,amount",
        '="line_id",person_id,amount',
        "某医院收费明细,,\n\n打印日期：2026-03-04,,\nline_id,person_id,amount",
        "sep=,\nline_id,person_id,amount",
        "\ufeffline_id,person_id,amount",
    ],
)
def test_the_header_is_found_in_whatever_case_and_below_titles(tmp_path, head):
    table = _open(tmp_path, head + "\n1,2,3\n", known=KNOWN)
    assert table.columns == ("line_id", "person_id", "amount")
    assert [tuple(row.fields.values()) for row in table.rows] == [("1", "2", "3")]


def test_a_stated_separator_is_held_to(tmp_path):
    assert _open(tmp_path, "sep=|\na|b,c,d\n1|2\n").columns == ("a", "b,c,d")


def test_without_a_header_that_is_known_the_first_line_is_named(tmp_path):
    assert _open(tmp_path, "x,y\n1,2\n", known=KNOWN).columns == ("x", "y")


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ("1,2,,,\n", [(2, ("1", "2"))]),
        ("1,2, ,\n", [(2, ("1", "2"))]),
        ("1,2,,3\n", [(2, Reason.FIELD_COUNT)]),
        ('="0012","=""0034"""\n', [(2, ("0012", "0034"))]),
        ("'0012,'12'\n", [(2, ("0012", "'12'"))]),
        ("=1+1,2\n", [(2, ("=1+1", "2"))]),
    ],
)
def test_what_spreadsheets_leave_behind_is_taken_for_what_it_means(tmp_path, body, rows):
    assert _rows(tmp_path, "a,b\n" + body) == rows


def test_cells_of_unnamed_columns_may_be_left_out_at_the_end(tmp_path):
    assert _rows(tmp_path, "a,b,,\n1,2\n1\n") == [(2, ("1", "2", "")), (3, Reason.FIELD_COUNT)]


def test_an_unknown_encoding_is_refused(tmp_path):
    with pytest.raises(EncodingError, match="latin-1"):
        _open(tmp_path, b"a,b\n", encoding="latin-1")


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ("1,2\n3\n4,5\n", [(2, ("1", "2")), (3, Reason.FIELD_COUNT), (4, ("4", "5"))]),
        ("1,2,3\n4,5\n", [(2, Reason.FIELD_COUNT), (3, ("4", "5"))]),
        ("1,2\n\n , \n3,4\n", [(2, ("1", "2")), (5, ("3", "4"))]),
        ('1,"x,y"\n', [(2, ("1", "x,y"))]),
        ('1,"x""y"\n', [(2, ("1", 'x"y'))]),
        ('1,"x\ny"\n3,4\n', [(2, ("1", "x\ny")), (4, ("3", "4"))]),
        ('1,"x\n3,4\n5,6\n', [(2, ("1", "\ufffdx")), (3, ("3", "4")), (4, ("5", "6"))]),
        ('1,"x,y\n3,4\n', [(2, Reason.UNCLOSED_QUOTE), (3, ("3", "4"))]),
        ('1,"x"z\n3,4\n', [(2, ("1", "\ufffdx\ufffdz")), (3, ("3", "4"))]),
        ('1,5" pipe\n3,4\n', [(2, ("1", '5" pipe')), (3, ("3", "4"))]),
        ('1,"x\n', [(2, ("1", "\ufffdx"))]),
        ("1,\x002\n3,4\n", [(2, ("1", "\ufffd2")), (3, ("3", "4"))]),
        ("\0\n3,4\n", [(2, Reason.NUL_BYTE), (3, ("3", "4"))]),
        ("1,2", [(2, ("1", "2"))]),
    ],
)
def test_a_broken_line_costs_only_itself(tmp_path, body, rows):
    assert _rows(tmp_path, "a,b\n" + body) == rows


def test_an_open_quote_at_the_top_does_not_swallow_the_file(tmp_path):
    body = '1,"open\n' + "".join(f"{n},x\n" for n in range(2, 1000)) + '1000,"closed"\n'
    rows = _rows(tmp_path, "a,b\n" + body)
    assert rows[0] == (2, ("1", "\ufffdopen"))
    assert [row[1][0] for row in rows[1:]] == [str(n) for n in range(2, 1001)]


def test_a_line_without_end_is_refused_in_bounded_memory(tmp_path):
    content = b"a,b\n" + b"1," + b"x" * (3 * LINE_LIMIT_BYTES) + b"\n3,4\n"
    assert _rows(tmp_path, content) == [(2, Reason.TOO_LONG), (3, ("3", "4"))]


@pytest.mark.parametrize("separator", [",", "\t", "|", ";"])
def test_the_delimiter_is_that_of_the_header(tmp_path, separator):
    assert _rows(tmp_path, f"a{separator}b\n1{separator}2\n") == [(2, ("1", "2"))]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no header"),
        (b"\n1,2\n", "no header"),
        (b"a,b,a\n", "twice: a"),
        (b"\xff\xff\xff\n", "undecodable"),
    ],
)
def test_a_header_that_cannot_be_used_is_named(tmp_path, content, says):
    with pytest.raises(HeaderError, match=says):
        _open(tmp_path, content)


@given(st.binary(max_size=400))
def test_any_bytes_are_rows_or_reasons(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "a.csv"
    path.write_bytes(b"a,b\n" + content)
    for row in open_table(path).rows:
        assert isinstance(row, BadLine) or set(row.fields) == {"a", "b"}
        assert row.place.line >= 2


def test_progress_adds_up_to_the_file(tmp_path):
    told = []
    content = b"a,b\n" + b"1,2\n" * 5000
    list(_open(tmp_path, content, advance=told.append).rows)
    assert sum(told) == len(content)
    assert len(told) > 2


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ("2,2026-03-05,血透,滤过,1,400", ("2", "2026-03-05", "血透\ufffd滤过", "1", "400")),
        ("2,2026-03-05,a,b,c,1,400", ("2", "2026-03-05", "a\ufffdb\ufffdc", "1", "400")),
        ("2,2026-03-05,血透,1,1,234.50", Reason.UNQUOTED_THOUSANDS),  # the quantity or the amount
        ("2,2026-03-05,血透,1,400,x", Reason.FIELD_COUNT),
        ("2,2026-03-05,血透,1", Reason.FIELD_COUNT),
    ],
)
def test_a_separator_within_a_field_is_found_by_what_stands_around_it(tmp_path, row, fields):
    assert _rows(tmp_path, f"id,day,name,n,yuan\n1,2026-03-04,血液透析,1,400\n{row}\n")[1] == (3, fields)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text",
    [
        "编号,名称,金额\r\n1,一般血液透析\u3000治疗,1\r\n2,镕𬭎一一一,400.5\r\n",
        "id\tname\ra\tb\r",
        "id,name\n1,abc\n",
    ],
    ids=["chinese", "cr-only", "ascii"],
)
def test_utf16_without_a_mark_is_known_by_its_zero_bytes(tmp_path, codec, text):
    rows = _rows(tmp_path, text.encode(codec))
    assert [row[1] for row in rows] == [row[1] for row in _rows(tmp_path, text)]
    assert not any("\ufffd" in cell for _, cells in rows for cell in cells)


@pytest.mark.parametrize(
    "content", [b"a,b\n1,\0\n2,3\n", b"a,b\n1,\0\0\0\0\n2,3\n", "a,b\n透析,\0\n2,3\n".encode("gb18030")]
)
def test_a_file_with_zero_bytes_is_not_taken_for_utf16(tmp_path, content):
    assert _rows(tmp_path, content)[1] == (3, ("2", "3"))


@pytest.mark.parametrize(
    ("name", "codec"), [("utf-16", "utf-16-be"), ("utf-16-be", "utf-16-be"), ("utf-16", "utf-16-le")]
)
def test_utf16_that_is_named_is_read_in_the_order_that_its_bytes_have(tmp_path, name, codec):
    assert _rows(tmp_path, "a,b\n1,血液\n".encode(codec), encoding=name) == [(2, ("1", "血液"))]
