"""Why a step on a case is not done."""

from renzheng.contracts.errors import InputError


class StepRefusedError(InputError):
    """A guard refuses a step.

    Args:
        guard: its name.
        what: what it says.
    """

    def __init__(self, guard: str, what: str, *, why: str = "", do: str = "") -> None:
        super().__init__(what, why=why, do=do)
        self.guard = guard


class BodyError(InputError):
    """What was sent with a step cannot be read, or lacks something."""


class NotFoundError(InputError):
    """There is no such case or doubt, or it is not this account's to see."""


class MayNotError(InputError):
    """The account's roles do not do this step."""


class JournalError(InputError):
    """A journal, or what came with it, is not what central has written."""


class StaleError(InputError):
    """A step was sent against a version that is no longer the newest."""


class BundleError(InputError):
    """A bundle is not what was written."""
