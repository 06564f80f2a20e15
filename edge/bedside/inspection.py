"""The parts that the page's calls are answered by; each answers one question."""

from dataclasses import dataclass

from renzheng.edge.bedside.answers import Answers
from renzheng.edge.bedside.opening import DeviceRounds
from renzheng.edge.bedside.patient_looks import PatientLooks
from renzheng.edge.bedside.signing_in import SignIns
from renzheng.edge.device.clock import Clock
from renzheng.edge.look.looking import Looks


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a unit's page may ask.

    Args:
        sign_ins: who is signed in?
        rounds: which rounds are here, and what is on their lists?
        patient_looks: may this patient be looked at?
        looks: what has a look shown?
        answers: what becomes of an answer?
        clock: when is it?
        idle_seconds: a sign-in that was silent for this long is over.
    """

    sign_ins: SignIns
    rounds: DeviceRounds
    patient_looks: PatientLooks
    looks: Looks
    answers: Answers
    clock: Clock
    idle_seconds: float
