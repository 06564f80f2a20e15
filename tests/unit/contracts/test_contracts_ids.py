"""One spelling for one id."""

import pytest

from renzheng.contracts.ids import is_citizen_number, is_reserved, normalised_id, tidy_id


@pytest.mark.parametrize(
    ("written", "one"),
    [
        ("11010519491231002x", "11010519491231002X"),
        ("１１０１０５１９４９１２３１００２Ｘ", "11010519491231002X"),
        (" 1101051949 1231002X\u3000", "11010519491231002X"),
        ("\ufeffP\u200b1\u00a0", "P1"),
        ("p1\n", "P1"),
        ("", ""),
        ("H\u034f\u115f\u3164\ufe0f\U000e01001\u2800", "H1"),  # none of these can be seen
        ("\U0001d6a8\U0001d7d9", "\u03911"),
        ("\u04201", "\u04201"),  # another alphabet's letter is another letter
        ("甲\u0416é\u03a91", "甲\u0416É\u03a91"),
    ],
)
def test_one_id_has_one_spelling(written, one):
    assert normalised_id(written) == one
    assert normalised_id(normalised_id(written)) == normalised_id(written)


def test_no_character_needs_spelling_twice():
    for point in [*range(0x80, 0x2E00), *range(0xA000, 0xD800, 11), *range(0xE000, 0x1F000, 17)]:
        once = normalised_id.__wrapped__(f"1{chr(point)}a")
        assert normalised_id.__wrapped__(once) == once, hex(point)


def test_case_may_tell_two_lines_apart():
    assert tidy_id(" a1") != tidy_id("A1 ")


@pytest.mark.parametrize(
    ("number", "right"),
    [
        ("11010519491231002X", True),  # the example of GB 11643-1999
        ("110105194912310021", False),
        ("11010519491231002x", False),
        ("1101051949123100", False),
        ("", False),
    ],
)
def test_a_citizen_number_has_a_check_digit(number, right):
    assert is_citizen_number(number) is right


@pytest.mark.parametrize(
    ("name", "reserved"),
    [("central", True), ("Central", True), ("central-0", True), ("central.x", True), ("bureau", True),
     ("bureau-west", True), ("site", True), ("server", True), ("ca", True), ("kiosk-1", False),
     ("centralhospital-1", False), ("site-2", False)],
)  # fmt: skip
def test_the_sites_own_names_are_reserved(name, reserved):
    assert is_reserved(name) is reserved
