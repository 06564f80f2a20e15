"""Which clerk is signed in on which page, and who vouches beside them."""

from renzheng.contracts.ids import WitnessId
from renzheng.edge.counter.errors import NotSignedInError
from renzheng.edge.device.pins import PinChecker
from renzheng.edge.errors import UnknownWitnessError
from renzheng.edge.look.page_sessions import PageSessions


class Clerks:
    """Clerks and witnesses by number and PIN, as `renzheng edge witness` enters them.

    Args:
        pins: checks number and PIN.
        idle_ms: a sign-in that was silent for this long is over.
    """

    def __init__(self, pins: PinChecker, idle_ms: int) -> None:
        self._pins = pins
        self._sessions: PageSessions[WitnessId] = PageSessions(idle_ms)

    def sign_in(self, number: str, pin: str) -> str:
        """Begin; returns the session's token.

        Raises:
            UnknownWitnessError: number or PIN is not right, or too many were wrong.
        """
        return self._sessions.begin(self._pins.check(number, pin, caller="counter", known=True))

    def sign_out(self, token: str) -> None:
        """End a sign-in."""
        self._sessions.end(token)

    def clerk(self, token: str | None) -> WitnessId:
        """Who is signed in.

        Raises:
            NotSignedInError: nobody, or not any more.
        """
        clerk = self._sessions.who(token)
        if clerk is None:
            raise NotSignedInError("No clerk is signed in on this page.", do="Sign in with number and PIN.")
        return clerk

    def witness(self, number: str, pin: str, beside: WitnessId) -> WitnessId:
        """Check a second person's PIN.

        Raises:
            UnknownWitnessError: number or PIN is not right, or it is the clerk's own.
        """
        if number == beside:
            raise UnknownWitnessError(
                "The witness is the clerk.",
                why="Two people must have seen the buyer.",
                do="Ask a colleague to enter number and PIN.",
            )
        return self._pins.check(number, pin, caller=f"beside {beside}", known=True)
