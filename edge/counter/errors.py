"""What can go wrong at a counter; each leaf is one line."""

from renzheng.contracts.errors import InputError


class NotSignedInError(InputError):
    """No clerk is signed in on this page, or not any more."""


class PurchaseRefusedError(InputError):
    """A purchase does not say what it must; `attributes["missing"]` names it."""


class UnreadableNumberError(InputError):
    """What was typed or scanned is no number that could name a person."""
