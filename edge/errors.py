"""What can go wrong on a clinic machine; each leaf is one line."""

from renzheng.contracts.errors import FaultError, InputError


class SettingsError(InputError):
    """The settings file cannot be used as it is."""


class StoreError(FaultError):
    """The store on this machine cannot be read or written."""


class FolderInUseError(InputError):
    """An agent runs on this data folder already."""


class EventTooLargeError(InputError):
    """An event is larger than a batch may be, so no broker would ever take it."""


class UnknownPersonError(InputError):
    """Nobody of this number or id is on this kiosk's roster."""


class UnknownWitnessError(InputError):
    """No witness of this id, or another PIN."""


class CredentialTakenError(InputError):
    """An e-credential is another patient's already."""


class NetworkIdentityUnreachedError(FaultError):
    """The national network identity service is absent, slow, or answers something else."""


class NetworkIdentityRefusedError(InputError):
    """A code of the national network identity does not show who this is."""


class GuardianNeededError(InputError):
    """A person under 14 does not consent alone; a guardian does (PIPL art. 31)."""


class PhotographRefusedError(InputError):
    """A photograph cannot serve as a reference; `reason` says why."""


class CameraError(FaultError):
    """The agent's own camera cannot be used."""


class SynthesiserError(FaultError):
    """The prompts cannot be spoken: the synthesiser is missing or failed."""


class CallError(InputError):
    """A call to the kiosk's own pages is not of the form it asks for, or comes at the wrong moment."""


class UnknownLookError(InputError):
    """A look is not known (any more), or has not ended."""


class BulkUnreachableError(FaultError):
    """Central's door does not answer; what was fetched last stays in use."""


class BulkRefusedError(InputError):
    """Central's door answered, and not with what was asked for; `attributes["status"]` is HTTP's."""
