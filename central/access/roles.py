"""The role matrix: what each role may, which roles one person never holds together, and what it asks for.

This is the one table; pages, routes and commands name a `Permission`, never a role.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations


class Role(StrEnum):
    """What a person is there for."""

    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"
    REVIEWER = "reviewer"
    PANEL = "panel"
    APPROVER = "approver"
    FINANCE = "finance"
    RULE_AUTHOR = "rule_author"
    RULE_APPROVER = "rule_approver"
    DRAW_OFFICER = "draw_officer"
    INSPECTOR = "inspector"
    HOSPITAL_OFFICE = "hospital_office"
    DOCTOR = "doctor"
    INTERNAL_CONTROL = "internal_control"
    DATA_PROTECTION = "data_protection"
    THIRD_PARTY = "third_party"


class Permission(StrEnum):
    """What a page, a route or a command needs."""

    OWN = "own"
    FACTORS = "factors"
    STATISTICS = "statistics"
    VERDICTS = "verdicts"
    FINDINGS = "findings"
    EXPORTS = "exports"
    ATTEMPTS = "attempts"
    LISTS_KEEP = "lists_keep"
    RUNS = "runs"
    ROUNDS = "rounds"
    STAYS = "stays"
    STAYS_CHANGE = "stays_change"
    IMPORTS = "imports"
    REJECTS = "rejects"
    DEVICES = "devices"
    HEALTH = "health"
    ROLES = "roles"
    ACCOUNTS = "accounts"
    ACCESS_LOG = "access_log"
    EMERGENCY_ASK = "emergency_ask"
    EMERGENCY_ALLOW = "emergency_allow"
    PRIVACY = "privacy"
    PRIVACY_CHANGE = "privacy_change"
    CROPS = "crops"
    CROPS_ASK = "crops_ask"
    CROPS_ALLOW = "crops_allow"
    CASES = "cases"
    CASES_STEP = "cases_step"
    CASES_DRAFT = "cases_draft"
    CASES_FILES = "cases_files"
    """Evidence, journal and file of a case: bound by their hashes, so persons' numbers are whole in them."""
    CHECKS = "checks"
    IDENTITIES = "identities"
    UNMASK = "unmask"
    OWN_LINES = "own_lines"
    SELF_CHECK = "self_check"


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a permission is used.

    Args:
        persons: what it shows is of persons; every use is written down before anything is shown.
        step_up: the person has shown a password within the last minutes.
        purpose: what it is for, as the access log has it.
    """

    persons: bool = False
    step_up: bool = False
    purpose: str = "audit"


_P = Permission
TERMS: Mapping[Permission, Terms] = {
    _P.OWN: Terms(purpose="own"),
    _P.FACTORS: Terms(step_up=True, purpose="own"),
    _P.STATISTICS: Terms(),
    _P.VERDICTS: Terms(persons=True),
    _P.FINDINGS: Terms(persons=True),
    _P.EXPORTS: Terms(persons=True, step_up=True, purpose="export"),
    _P.ATTEMPTS: Terms(),
    _P.LISTS_KEEP: Terms(),
    _P.RUNS: Terms(),
    _P.ROUNDS: Terms(persons=True, purpose="spot_checks"),
    _P.STAYS: Terms(persons=True, purpose="stays"),
    _P.STAYS_CHANGE: Terms(persons=True, purpose="stays"),
    _P.IMPORTS: Terms(purpose="imports"),
    _P.REJECTS: Terms(persons=True, purpose="imports"),
    _P.DEVICES: Terms(purpose="operation"),
    _P.HEALTH: Terms(purpose="operation"),
    _P.ROLES: Terms(purpose="accounts"),
    _P.ACCOUNTS: Terms(purpose="accounts"),
    _P.ACCESS_LOG: Terms(persons=True, purpose="data_protection"),
    _P.EMERGENCY_ASK: Terms(purpose="emergency"),
    _P.EMERGENCY_ALLOW: Terms(step_up=True, purpose="emergency"),
    _P.PRIVACY: Terms(persons=True, purpose="data_protection"),
    _P.PRIVACY_CHANGE: Terms(persons=True, step_up=True, purpose="data_protection"),
    _P.CROPS: Terms(persons=True, purpose="crops"),
    _P.CROPS_ASK: Terms(persons=True, step_up=True, purpose="crops"),
    _P.CROPS_ALLOW: Terms(persons=True, step_up=True, purpose="crops"),
    _P.CASES: Terms(persons=True, purpose="cases"),
    _P.CASES_STEP: Terms(persons=True, step_up=True, purpose="cases"),
    _P.CASES_FILES: Terms(persons=True, purpose="cases"),
    _P.CASES_DRAFT: Terms(persons=True, step_up=True, purpose="cases"),
    _P.CHECKS: Terms(persons=True, purpose="checks"),
    _P.IDENTITIES: Terms(),
    _P.OWN_LINES: Terms(persons=True, purpose="own_lines"),
    _P.SELF_CHECK: Terms(persons=True, purpose="self_check"),
    _P.UNMASK: Terms(persons=True, step_up=True, purpose="unmasking"),
}

BEFORE_A_SECOND_FACTOR = frozenset({_P.OWN, _P.FACTORS})
"""What somebody may who needs a second factor and has none yet."""
_EVERYBODY = frozenset({_P.OWN, _P.FACTORS, _P.ROLES})
_CASES = frozenset({_P.CASES, _P.CASES_STEP})
"""Which step of a case a role does is the cases' own table (`cases.acts`)."""
_BUREAU = _EVERYBODY | {_P.EMERGENCY_ASK}
_DECIDES = _CASES | {_P.CASES_FILES, _P.CROPS, _P.CROPS_ALLOW, _P.VERDICTS, _P.FINDINGS, _P.UNMASK}
MATRIX: Mapping[Role, frozenset[Permission]] = {
    Role.ADMINISTRATOR: _BUREAU
    | {_P.HEALTH, _P.DEVICES, _P.ATTEMPTS, _P.IMPORTS, _P.ACCOUNTS, _P.EMERGENCY_ALLOW},
    Role.AUDITOR: _BUREAU
    | _CASES
    | {_P.CASES_DRAFT, _P.CASES_FILES, _P.CROPS, _P.CROPS_ASK, _P.UNMASK}
    | {_P.STATISTICS, _P.VERDICTS, _P.FINDINGS, _P.EXPORTS, _P.RUNS, _P.ROUNDS, _P.STAYS}
    | {_P.ATTEMPTS, _P.LISTS_KEEP, _P.IMPORTS, _P.REJECTS, _P.DEVICES, _P.HEALTH},
    Role.REVIEWER: _BUREAU | _DECIDES,
    Role.PANEL: _BUREAU | _DECIDES,
    Role.APPROVER: _BUREAU | _DECIDES,
    Role.FINANCE: _BUREAU | _CASES,
    Role.RULE_AUTHOR: _BUREAU | {_P.STATISTICS},
    Role.RULE_APPROVER: _BUREAU | {_P.STATISTICS},
    Role.DRAW_OFFICER: _BUREAU | {_P.ROUNDS},
    Role.INSPECTOR: _BUREAU,
    Role.HOSPITAL_OFFICE: _EVERYBODY
    | _CASES
    | {_P.CASES_FILES, _P.CROPS}
    | {_P.STATISTICS, _P.VERDICTS, _P.FINDINGS, _P.EXPORTS, _P.STAYS, _P.STAYS_CHANGE, _P.ATTEMPTS}
    | {_P.CHECKS, _P.IDENTITIES, _P.SELF_CHECK},
    Role.DOCTOR: _EVERYBODY | _CASES | {_P.CASES_FILES, _P.CHECKS, _P.IDENTITIES, _P.OWN_LINES},
    Role.INTERNAL_CONTROL: _BUREAU
    | {_P.STATISTICS, _P.VERDICTS, _P.FINDINGS, _P.ATTEMPTS, _P.RUNS, _P.ROUNDS, _P.CASES, _P.CASES_FILES}
    | {_P.UNMASK},
    Role.DATA_PROTECTION: _BUREAU
    | {_P.ACCESS_LOG, _P.EMERGENCY_ALLOW, _P.PRIVACY, _P.PRIVACY_CHANGE, _P.CROPS, _P.IDENTITIES},
    Role.THIRD_PARTY: _EVERYBODY | {_P.VERDICTS, _P.FINDINGS},
}

OF_A_HOSPITAL = frozenset({Role.HOSPITAL_OFFICE, Role.DOCTOR})
BY_INSTITUTION = OF_A_HOSPITAL | {Role.THIRD_PARTY}
"""Roles that see the rows of the institutions they are registered with, and no others."""
DECIDING = frozenset(
    {Role.AUDITOR, Role.REVIEWER, Role.PANEL, Role.APPROVER, Role.FINANCE, Role.RULE_APPROVER}
    | {Role.DRAW_OFFICER, Role.INSPECTOR}
)
ALWAYS_APART: frozenset[frozenset[Role]] = frozenset(
    {frozenset({Role.ADMINISTRATOR, role}) for role in (*DECIDING, Role.DATA_PROTECTION)}
    | {frozenset({Role.DATA_PROTECTION, role}) for role in DECIDING}
    | {
        frozenset({hospital, role})
        for hospital in OF_A_HOSPITAL
        for role in Role
        if role not in OF_A_HOSPITAL
    }
    | {frozenset({Role.INTERNAL_CONTROL, role}) for role in Role if role is not Role.INTERNAL_CONTROL}
    | {frozenset({Role.THIRD_PARTY, role}) for role in Role if role is not Role.THIRD_PARTY}
    | {frozenset({Role.FINANCE, Role.APPROVER})}
)
"""Pairs that nobody is granted. Those apart on one thing only (a doubt, a change, a round) are refused when
the second is done (`separation`)."""

SHARED_TOKEN = frozenset(Permission) - {
    _P.OWN_LINES,
    _P.FACTORS,
    _P.ACCOUNTS,
    _P.ACCESS_LOG,
    _P.EMERGENCY_ASK,
    _P.EMERGENCY_ALLOW,
    _P.PRIVACY,
    _P.PRIVACY_CHANGE,
    _P.CROPS,
    _P.CROPS_ASK,
    _P.CROPS_ALLOW,
}
"""What the token of `access_token_file` may, and whoever is on this machine while there is no account yet."""


def pair_apart(roles: Iterable[Role]) -> tuple[Role, Role] | None:
    """Return the first pair of these roles that nobody holds together; None when they go together."""
    for first, second in combinations(sorted(set(roles)), 2):
        if frozenset({first, second}) in ALWAYS_APART:
            return first, second
    return None


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    """Return everything that these roles may."""
    return frozenset().union(*(MATRIX[role] for role in roles))
