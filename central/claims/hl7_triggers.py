"""What each ADT trigger event means for stays and numbers (HL7 v2.5.1 and v2.8, chapter 3.3; table 0003)."""

from collections.abc import Mapping

from renzheng.central.claims.stay_events import StayEventKind

STAYS: Mapping[str, StayEventKind] = {
    "A01": StayEventKind.ADMIT,
    "A02": StayEventKind.TRANSFER,
    "A03": StayEventKind.DISCHARGE,
    "A06": StayEventKind.ADMIT,  # 3.3.6: from not admitted to admitted
    "A07": StayEventKind.DISCHARGE,  # 3.3.7: admitted no longer
    "A08": StayEventKind.UPDATE,
    "A09": StayEventKind.DEPART,
    "A10": StayEventKind.ARRIVE,
    "A11": StayEventKind.CANCEL_ADMIT,
    "A12": StayEventKind.CANCEL_TRANSFER,
    "A13": StayEventKind.CANCEL_DISCHARGE,
    "A17": StayEventKind.TRANSFER,  # 3.3.17: two patients exchange beds; each has its PID and PV1
    "A21": StayEventKind.LEAVE,
    "A22": StayEventKind.RETURN,
    "A23": StayEventKind.CANCEL_ADMIT,  # 3.3.23: what is told of the visit is deleted
    "A32": StayEventKind.CANCEL_ARRIVE,
    "A33": StayEventKind.CANCEL_DEPART,
    "A52": StayEventKind.CANCEL_LEAVE,
    "A53": StayEventKind.CANCEL_RETURN,
}
WHATEVER_CLASS = frozenset({"A06", "A07"})
"""Events that change the class: what PV1-2 says is the new one, or still the old."""
REGISTERING = frozenset({"A01", "A02", "A04", "A05", "A08"})
"""Events that show somebody of class E or P to be known, so that a later one of class I admits."""
PERSON_ONLY = frozenset({"A28", "A31"})
"""Events about a person alone (3.3.28, 3.3.31)."""

PERSON_MERGES = frozenset({"A18", "A30", "A34", "A36", "A39", "A40", "A46", "A47", "A48"})
"""Events after which one number of a person takes another's place."""
VISIT_MERGES = frozenset({"A18", "A35", "A36", "A41", "A42", "A49", "A50", "A51"})
"""Events after which one number of a visit, or of the account taken for it, takes another's place."""
VISIT_MOVES = frozenset({"A44", "A45"})
"""Events after which a visit or an account belongs to the person of PID, not to the one of MRG: two people,
of whom only this one visit was mixed up (3.3.44, 3.3.45)."""

_ABSENCES = frozenset({"A09", "A10", "A21", "A22", "A32", "A33", "A52", "A53"})


def table_of(trigger: str) -> str:
    """Return the table for which a trigger event is meant first."""
    if trigger in _ABSENCES:
        return "leaves"
    if trigger in PERSON_ONLY:
        return "persons"
    return "stays" if trigger in STAYS or trigger not in PERSON_MERGES else "person_aliases"


PRIOR_PERSON: Mapping[str, str] = {"PID-2": "MRG-4", "PID-3": "MRG-1", "PID-4": "MRG-2"}
PRIOR_VISIT: Mapping[str, str] = {"PID-18": "MRG-3", "PV1-19": "MRG-5", "PV1-50": "MRG-6"}
"""Where MRG holds the prior value of a field (3.4.9)."""
