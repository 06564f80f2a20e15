"""Why a step on a case is not done."""

from renzheng.contracts.errors import InputError


class CaseError(InputError):
    """A question or step about a case is refused; the API answers it as a problem."""


class StepRefusedError(CaseError):
    """A guard refuses a step.

    Args:
        guard: its name.
        what: what it says.
    """

    def __init__(self, guard: str, what: str, *, why: str = "", do: str = "") -> None:
        super().__init__(what, why=why, do=do)
        self.guard = guard


class BodyError(CaseError):
    """What was sent with a step cannot be read, or lacks something."""


class NotFoundError(CaseError):
    """There is no such case or doubt, or it is not this account's to see."""


class MayNotError(CaseError):
    """The account's roles do not do this step."""


class JournalError(InputError):
    """A journal, or what came with it, is not what central has written."""


class StaleError(CaseError):
    """A step was sent against a version that is no longer the newest."""


class BundleError(InputError):
    """A bundle is not what was written."""


class LetterError(CaseError):
    """A letter cannot be written as a file here."""
