"""Who is signed in on which page, and by what: tokens in memory, gone with the agent and after a silence."""

from collections.abc import Callable
from dataclasses import dataclass

from renzheng.contracts.events import InspectorFactor
from renzheng.contracts.ids import WitnessId
from renzheng.edge.bedside.errors import PasskeyNeededError, PasskeyRefusedError, TooManyTriesError
from renzheng.edge.bedside.passkeys import Passkeys
from renzheng.edge.bedside.store import BedsideStore
from renzheng.edge.device.pins import PinChecker, TriedTooOftenError
from renzheng.edge.errors import UnknownWitnessError
from renzheng.edge.look.page_sessions import PageSessions


@dataclass(frozen=True, slots=True)
class SignedInInspector:
    """Who is signed in, and by what; `credential_id` names the passkey, if it was one."""

    inspector_id: WitnessId
    factor: InspectorFactor
    credential_id: str | None = None


class SignIns:
    """Inspectors by number and passkey or PIN, witnesses by number and PIN.

    Args:
        pins: checks number and PIN.
        passkeys: checks passkeys. A number that has one here signs in by PIN no more.
        store: knows who may inspect.
        idle_ms: a session that was silent for this long is over.
        tell: hears of each passkey that was refused, with the number that was named.
    """

    def __init__(
        self,
        pins: PinChecker,
        passkeys: Passkeys,
        store: BedsideStore,
        idle_ms: int,
        *,
        tell: Callable[[str], None] = lambda _number: None,
    ) -> None:
        self._pins = pins
        self.passkeys = passkeys
        self._store = store
        self._tell = tell
        self._sessions = PageSessions(idle_ms, self._may_go_on)

    def sign_in(self, number: str, pin: str, *, caller: str, tablet: str | None) -> tuple[str, str | None]:
        """Begin a session.

        Args:
            number: the inspector's.
            pin: as it was entered.
            caller: the address that asks.
            tablet: the token of the tablet's own lane, if it has one.

        Returns:
            The session's token, and a token for the tablet when it had none for this inspector.

        Raises:
            UnknownWitnessError: number or PIN is not right, or this is no inspector.
            TooManyTriesError: too many were wrong.
            PasskeyNeededError: the PIN is right, but this number has a passkey here.
        """
        lane = self._pins.lane_of(tablet, number)
        inspector_id = self._check(number, pin, caller=lane or caller, known=lane is not None, inspector=True)
        if self.passkeys.store.count(inspector_id):
            raise PasskeyNeededError(
                "This number signs in by passkey on this unit.",
                why="A PIN that was seen or guessed must not stand in for it.",
                do="Use the tablet's passkey; `renzheng edge inspector` takes a lost one away.",
            )
        token = self._sessions.begin(SignedInInspector(inspector_id, "pin"))
        return token, None if lane else self._pins.new_lane(inspector_id)

    def sign_in_by_passkey(self, number: str, ceremony: str, credential: str) -> tuple[str, str]:
        """Begin a session.

        Args:
            number: the inspector's.
            ceremony: of the challenge that was asked for.
            credential: what the browser answered, as JSON.

        Returns:
            The session's token, and the secret that opens the lists kept on the page.

        Raises:
            PasskeyRefusedError: the passkey does not hold, or not for this number.
        """
        try:
            shown = self.passkeys.show(number, ceremony, credential)
        except PasskeyRefusedError:
            self._tell(number)
            raise
        inspector = SignedInInspector(WitnessId(number), "passkey", shown.credential_id)
        return self._sessions.begin(inspector), shown.lists_secret

    def sign_out(self, token: str) -> None:
        """End a session."""
        self._sessions.end(token)

    def inspector(self, token: str | None) -> SignedInInspector | None:
        """Who is signed in under a token; None when nobody is, or not any more.

        Asked at each call: who may inspect no longer, or whose passkey was taken away, is signed out at once.
        """
        return self._sessions.who(token)

    def _may_go_on(self, inspector: SignedInInspector) -> bool:
        if not self._store.is_inspector(inspector.inspector_id):
            return False
        if inspector.credential_id is None:
            return not self.passkeys.store.count(inspector.inspector_id)
        return self.passkeys.store.find(inspector.credential_id) is not None

    def witness(self, number: str, pin: str, *, beside: str) -> WitnessId:
        """Check a second person's PIN.

        Raises:
            UnknownWitnessError: number or PIN is not right, or it is the inspector's own.
            TooManyTriesError: too many were wrong.
        """
        if number == beside:
            raise UnknownWitnessError(
                "The witness is the inspector.",
                why="Two people must have seen the patient.",
                do="Ask the nurse to enter number and PIN.",
            )
        return self._check(number, pin, caller=f"beside {beside}", known=True, inspector=False)

    def _check(self, number: str, pin: str, *, caller: str, known: bool, inspector: bool) -> WitnessId:
        also = self._must_inspect if inspector else _anybody
        try:
            return self._pins.check(number, pin, caller=caller, known=known, also=also)
        except TriedTooOftenError as error:
            raise TooManyTriesError(error.what, why=error.why, do=error.do) from None

    def _must_inspect(self, number: str) -> None:
        if not self._store.is_inspector(number):
            raise UnknownWitnessError("Inspector number or PIN is not right.", do="Enter both again.")


def _anybody(_number: str) -> None:
    """Everybody whose PIN is right may be a witness."""
