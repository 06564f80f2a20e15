"""The role matrix and passwords: small tables, read by themselves."""

from itertools import combinations

import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from renzheng.central.access import roles
from renzheng.central.access.errors import PasswordError
from renzheng.central.access.passwords import SHORTEST, must_be_good
from renzheng.central.access.roles import ALWAYS_APART, MATRIX, TERMS, Permission, Role, pair_apart

BUREAU = set(Role) - {Role.HOSPITAL_OFFICE, Role.DOCTOR}


def test_every_role_and_permission_is_in_the_table():
    assert set(MATRIX) == set(Role)
    assert set(TERMS) == set(Permission)
    assert frozenset().union(*MATRIX.values()) == set(Permission), "nobody may do the others"


def test_what_a_role_never_sees():
    persons = {one for one, terms in TERMS.items() if terms.persons}
    assert not MATRIX[Role.ADMINISTRATOR] & persons, "no faces, no verdict of a person"
    verdicts = {Permission.VERDICTS, Permission.FINDINGS, Permission.EXPORTS, Permission.CASES}
    assert not MATRIX[Role.DATA_PROTECTION] & verdicts
    assert [role for role in Role if Permission.ACCESS_LOG in MATRIX[role]] == [Role.DATA_PROTECTION]
    assert Permission.EXPORTS not in MATRIX[Role.THIRD_PARTY]


@pytest.mark.parametrize(
    ("one", "others"),
    [
        (Role.ADMINISTRATOR, {Role.REVIEWER, Role.PANEL, Role.APPROVER, Role.AUDITOR, Role.DATA_PROTECTION}),
        (Role.FINANCE, {Role.APPROVER}),
        (Role.HOSPITAL_OFFICE, BUREAU),
        (Role.DOCTOR, BUREAU),
        (Role.INTERNAL_CONTROL, set(Role) - {Role.INTERNAL_CONTROL}),
        (Role.THIRD_PARTY, {Role.APPROVER, Role.FINANCE}),
    ],
)
def test_roles_that_nobody_holds_together(one, others):
    for other in others:
        assert pair_apart([Role.PANEL, one, other]) is not None
        assert frozenset({one, other}) in ALWAYS_APART


def test_roles_that_are_apart_on_one_thing_only_can_be_held_together():
    stages = [Role.AUDITOR, Role.REVIEWER, Role.PANEL, Role.APPROVER]
    for pair in (*combinations(stages, 2), (Role.RULE_AUTHOR, Role.RULE_APPROVER)):
        assert pair_apart(pair) is None
    assert pair_apart([Role.DRAW_OFFICER, Role.INSPECTOR]) is None
    assert roles.permissions_of([]) == frozenset()


@pytest.mark.parametrize(
    "password",
    ["short", "password2026!", "li.wei-li.wei-1", "123456789012345", "aaaaaabbbbbb", "qwertyuiop123",
     "9" * 40, "mustang-mustang", "renzheng@2026", "passwordpassword", "x" * 201],
)  # fmt: skip
def test_a_password_that_is_soon_guessed_is_refused(password):
    with pytest.raises(PasswordError):
        must_be_good(password, "li.wei")


def test_the_commonest_passwords_are_refused_with_digits_and_signs_too():
    ranked = list(FREQUENCY_LISTS["passwords"])
    tried = [one for one in ranked if len(one) >= SHORTEST]
    tried += [f"{one}2026!!" for one in ranked[:3000] if one.isalpha() and len(one) >= SHORTEST - 6]
    assert len(tried) > 2000
    for password in tried:
        with pytest.raises(PasswordError):
            must_be_good(password, "li.wei")


@pytest.mark.parametrize("password", ["five green lamps", "春江潮水连海平海上明月", "kT9#vLq2&xZp"])
def test_a_password_that_somebody_can_keep_is_taken(password):
    must_be_good(password + "!", "li.wei")
