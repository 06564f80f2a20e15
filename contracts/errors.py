"""The base of every error the product raises on purpose.

A message says three things: what happened, why it matters, and what to do next.
"""

from typing import Any, ClassVar


class RenzhengError(Exception):
    """Something a person can act on.

    Args:
        what: what happened, with the offending value.
        why: why it matters; may be empty where it is plain.
        do: what to do next.
        attributes: facts for the log line (ids, paths, offsets; never names, ID numbers or images).
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, what: str, *, why: str = "", do: str = "", **attributes: Any) -> None:
        self.what = what
        self.why = why
        self.do = do
        self.attributes = attributes
        super().__init__(" ".join(part for part in (what, why, do) if part))


class InputError(RenzhengError):
    """What was handed in cannot be used as it is (exit status 1)."""


class UsageError(RenzhengError):
    """The call itself is wrong (exit status 2)."""

    exit_status = 2


class FaultError(RenzhengError):
    """A part of the system failed; the input is not to blame (exit status 3)."""

    exit_status = 3
