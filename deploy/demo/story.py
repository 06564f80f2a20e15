"""The day that the demo plays, as data: who comes, what happens when, what is billed, what must come out.

Pure: no files, no clocks. The faces are public-domain portraits (see ``deploy/setup/portraits.sh``); names
and numbers are made up. What is expected is written here before anything runs, by the wording of the audit's
contract, and the demo fails if the audit answers otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from renzheng.central.access.roles import Role

ZONE = ZoneInfo("Asia/Shanghai")
DAY = date(2026, 3, 2)
OPENS, CLOSES = time(4, 55), time(23, 59, 59)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    """A moment of the day, local time, as UTC."""
    return datetime.combine(DAY, time(hour, minute, second), ZONE).astimezone(UTC)


def end_of_day() -> datetime:
    """The first moment of the day after, as UTC."""
    return datetime.combine(DAY + timedelta(days=1), time(), ZONE).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Clinic:
    """An institution with one kiosk."""

    institution_id: str
    name: str
    device_id: str
    machines: int


@dataclass(frozen=True, slots=True)
class Patient:
    """Somebody on a clinic's roster; `portrait` is what was enrolled, None when nothing is yet."""

    person_id: str
    surname: str
    card_number: str
    clinic: Clinic
    portrait: str | None = None


NORTH = Clinic("H37112100001", "城北透析中心", "kiosk-north", machines=12)
SOUTH = Clinic("H37112100002", "城南透析中心", "kiosk-south", machines=8)
CLINICS = (NORTH, SOUTH)
ACCOUNTS: Mapping[str, tuple[Role, tuple[str, ...]]] = {
    "administrator": (Role.ADMINISTRATOR, ()),
    "auditor": (Role.AUDITOR, ()),
    "reviewer": (Role.REVIEWER, ()),
    "approver": (Role.APPROVER, ()),
    "finance": (Role.FINANCE, ()),
    "north-office": (Role.HOSPITAL_OFFICE, (NORTH.institution_id,)),
    "data-protection": (Role.DATA_PROTECTION, ()),
}
"""Who signs in at the console after the day: role, and institution where the role is bound to one."""

AN = Patient("P-1001", "安", "370100000001", NORTH, "obama.jpg")
BAI = Patient("P-1002", "白", "370100000002", NORTH, "biden.jpg")
CHEN = Patient("P-1003", "陈", "370100000003", NORTH)
DENG = Patient("P-1004", "邓", "370100000004", NORTH)
FENG = Patient("P-1005", "冯", "370100000005", NORTH)
KE = Patient("P-2001", "柯", "370100000006", SOUTH, "astronaut.png")
LU = Patient("P-2002", "陆", "370100000007", SOUTH)
PATIENTS = (AN, BAI, CHEN, DENG, FENG, KE, LU)

WITNESS_ID, WITNESS_PIN = "N-07", "2580"


class Deed(StrEnum):
    """What happens at one moment of the day."""

    SIGN_IN = "sign_in"
    SIGN_OUT = "sign_out"
    WITNESSED_IN = "witnessed_in"
    WITNESSED_OUT = "witnessed_out"
    NETWORK_DOWN = "network_down"
    NETWORK_BACK = "network_back"
    KIOSK_DOWN = "kiosk_down"
    KIOSK_BACK = "kiosk_back"


@dataclass(frozen=True, slots=True)
class Scene:
    """One deed; `face` is the portrait before the camera, `expected` the outcome that must be recorded."""

    when: datetime
    deed: Deed
    clinic: Clinic
    zh: str
    en: str
    patient: Patient | None = None
    face: str | None = None
    expected: str | None = None


SCENES = (
    Scene(at(7, 30), Deed.SIGN_IN, NORTH, "安某刷脸签到", "An signs in by face", AN, "obama2.jpg", "match"),
    Scene(at(7, 50), Deed.NETWORK_DOWN, SOUTH, "城南断网", "The south clinic loses its network"),
    Scene(
        at(8, 5),
        Deed.SIGN_IN,
        SOUTH,
        "断网中柯某签到",
        "Ke signs in all the same",
        KE,
        "astronaut.png",
        "match",
    ),
    Scene(
        at(8, 20),
        Deed.WITNESSED_IN,
        NORTH,
        "邓某由护士见证签到",
        "Deng signs in with a witness",
        DENG,
        None,
        "manual",
    ),
    Scene(
        at(8, 35),
        Deed.WITNESSED_IN,
        NORTH,
        "冯某不愿刷脸，护士见证签到",
        "Feng declines the face, a witness vouches",
        FENG,
        None,
        "declined",
    ),
    Scene(at(11, 40), Deed.SIGN_OUT, NORTH, "安某签退", "An signs out", AN, "obama3.jpg", "match"),
    Scene(at(12, 10), Deed.SIGN_OUT, SOUTH, "断网中柯某签退", "Ke signs out", KE, "astronaut.png", "match"),
    Scene(at(12, 25), Deed.WITNESSED_OUT, NORTH, "邓某签退", "Deng signs out", DENG, None, "manual"),
    Scene(at(12, 40), Deed.NETWORK_BACK, SOUTH, "城南网络恢复", "The network is back, the events arrive"),
    Scene(at(13, 0), Deed.KIOSK_DOWN, SOUTH, "城南终端故障", "The south kiosk breaks down"),
    Scene(
        at(13, 30),
        Deed.SIGN_IN,
        NORTH,
        "他人持白某的卡",
        "Somebody else with Bai's card",
        BAI,
        "obama3.jpg",
        "non_match",
    ),
    Scene(
        at(17, 10),
        Deed.SIGN_IN,
        NORTH,
        "陌生人持白某的卡",
        "A stranger with Bai's card",
        BAI,
        "astronaut.png",
        "non_match",
    ),
    Scene(at(19, 0), Deed.KIOSK_BACK, SOUTH, "城南终端恢复", "The south kiosk is back"),
)


@dataclass(frozen=True, slots=True)
class BilledLine:
    """A line of the bill and the answer it must get; `verdict` None: out of scope or netted out."""

    serial: str
    clinic: Clinic
    patient: Patient
    when: datetime
    item_code: str
    item_name: str
    quantity: str
    amount: str
    why_zh: str
    why_en: str
    verdict: str | None
    reason: str | None = None
    reverses: str | None = None


HD, HDF, PD, DRUG = "330000001", "330000002", "330000003", "860000001"
ITEMS = {
    HD: ("haemodialysis", "血液透析"),
    HDF: ("haemodiafiltration", "血液透析滤过"),
    PD: ("peritoneal_dialysis", "腹膜透析"),
}


def _line(  # noqa: PLR0917 - a table of the bill reads by position
    serial: str,
    clinic: Clinic,
    patient: Patient,
    when: datetime,
    item: str,
    why: tuple[str, str],
    answer: tuple[str, str] | None,
    quantity: str = "1",
    reverses: str | None = None,
) -> BilledLine:
    name = ITEMS[item][1] if item in ITEMS else "肝素钠注射液"
    price = {HD: "400.00", HDF: "720.00", PD: "45.00", DRUG: "26.50"}[item]
    sign = "-" if quantity.startswith("-") else ""
    verdict, reason = answer or (None, None)
    return BilledLine(
        serial, clinic, patient, when, item, name, quantity, sign + price, *why, verdict, reason, reverses
    )


SUPPORTED = ("supported", "verified_session")
LINES = (
    _line("0001", NORTH, AN, at(8, 0), HD, ("真实透析", "a genuine session"), SUPPORTED),
    _line("0002", NORTH, AN, at(8, 0), HDF, ("同次透析的滤过", "filtration in the same session"), SUPPORTED),
    _line(
        "0003",
        NORTH,
        AN,
        at(10, 30),
        HD,
        ("一次透析两次收费", "a second line for one session"),
        ("contradicted", "more_lines_than_sessions"),
    ),
    _line(
        "0004",
        NORTH,
        CHEN,
        at(9, 0),
        HD,
        ("没有签到", "billed with no sign-in"),
        ("contradicted", "no_session"),
    ),
    _line("0005", NORTH, CHEN, at(9, 5), HD, ("已冲销", "billed and reversed"), None),
    _line("0006", NORTH, CHEN, at(16, 0), HD, ("冲销 0005", "the reversal of 0005"), None, "-1", "0005"),
    _line(
        "0007",
        NORTH,
        DENG,
        at(9, 0),
        HD,
        ("见证签到，透析机有记录", "witnessed, and the machine agrees"),
        ("supported", "corroborated_manual"),
    ),
    _line(
        "0008",
        NORTH,
        FENG,
        at(9, 0),
        HD,
        ("只有见证", "witnessed, nothing else"),
        ("insufficient", "manual_uncorroborated"),
    ),
    _line(
        "0009",
        NORTH,
        BAI,
        at(13, 45),
        HD,
        ("他人冒用", "somebody else's face"),
        ("contradicted", "identity_mismatch"),
    ),
    _line(
        "0010",
        NORTH,
        BAI,
        at(17, 20),
        HD,
        ("陌生人冒用", "a face enrolled nowhere"),
        ("contradicted", "identity_mismatch"),
    ),
    _line("0011", SOUTH, KE, at(8, 30), HD, ("断网时的真实透析", "genuine, during the outage"), SUPPORTED),
    _line(
        "0012",
        SOUTH,
        LU,
        at(14, 30),
        HD,
        ("终端故障时段", "billed while the kiosk was down"),
        ("insufficient", "coverage_gap"),
    ),
    _line(
        "0013", NORTH, CHEN, at(10, 0), PD, ("腹膜透析不在范围", "peritoneal dialysis is out of scope"), None
    ),
    _line("0014", SOUTH, KE, at(8, 40), DRUG, ("药品不在范围", "a drug is out of scope"), None),
)

MACHINE_SESSIONS = (
    (NORTH, "M-03", AN, at(7, 52), at(11, 31)),
    (NORTH, "M-05", DENG, at(8, 41), at(12, 15)),
    (SOUTH, "M-01", KE, at(8, 24), at(12, 1)),
)
"""The dialysis machines' own log: institution, machine, patient, start, end."""
