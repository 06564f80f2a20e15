"""Whether a drawn patient may be looked at, and with which references."""

from renzheng.edge.bedside.opening import DeviceRounds
from renzheng.edge.device.store.people import NOTICE, People
from renzheng.edge.look.looking import Look, Looks
from renzheng.edge.look.verdicts import FaceVerdict
from renzheng.models.templates import ModelId


class PatientLooks:
    """Begins the looks of one device.

    Args:
        rounds: which checks are open.
        people: references and consents.
        looks: the camera's looks.
        model: whose references can be compared.
        notice_version: of the notice that a refusal refers to.
    """

    def __init__(
        self, rounds: DeviceRounds, people: People, looks: Looks, model: ModelId, notice_version: str
    ) -> None:
        self._rounds = rounds
        self._people = people
        self._looks = looks
        self._model = model
        self._notice = NOTICE, notice_version

    def begin(self, name: str, check_id: str) -> Look:
        """Begin a look; whoever refused face recognition, or has no reference, is not looked at.

        Raises:
            UnknownCheckError: no such check is open here.
            CallError: too many looks are under way.
        """
        _, check = self._rounds.check(name, check_id)
        person_id = check.person_id
        if self._people.consented(person_id, *self._notice) is False:
            return self._looks.begin((name, check_id), [])
        again = self._people.has_other_references(person_id, self._model)
        without = FaceVerdict.ENROL_AGAIN if again else FaceVerdict.NO_REFERENCE
        references = self._people.references(person_id, self._model)
        return self._looks.begin((name, check_id), references, without)
