"""What can go wrong on the bedside page; each leaf is one line."""

from renzheng.contracts.errors import InputError


class NotSignedInError(InputError):
    """Nobody is signed in on this page, or not any more."""


class NotDueError(InputError):
    """The round's time has not come."""


class RoundClosedError(InputError):
    """The round has closed and was never opened here."""


class UnknownCheckError(InputError):
    """No such round, or no such check in it, is open on this device."""


class TooManyTriesError(InputError):
    """Too many wrong PINs; the same call may be made again later."""


class PasskeyRefusedError(InputError):
    """A passkey, or the code with which one is set up, does not hold; the message does not tell why."""


class PasskeyNeededError(InputError):
    """This number signs in by passkey on this unit, no longer by PIN."""


class NoPasskeysHereError(InputError):
    """Browsers make no passkeys for the address by which this page was opened."""
