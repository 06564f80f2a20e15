"""The errors that the central service raises on purpose."""

from renzheng.contracts.errors import FaultError, InputError, UsageError


class SettingsError(UsageError):
    """The configuration file is missing or wrong."""


class RegistrationError(InputError):
    """A device, key or institution cannot be registered as asked."""


class StoreError(FaultError):
    """The store cannot be opened or is of another version."""


class BrokerError(FaultError):
    """The broker cannot be reached; it is tried again for ever."""


class SiteError(InputError):
    """The site's CA, or a device's request to it, cannot be used."""


class BackupError(InputError):
    """A backup cannot be taken or restored as asked."""


class ArchiveError(InputError):
    """An archive of a closed year cannot be made or used, or is not the one that central signed."""


class LogFaultError(InputError):
    """What central holds of a device's log does not verify."""


class BenchError(InputError):
    """A measurement cannot be made on this machine."""


class NightError(InputError):
    """A nightly run cannot start with what is there."""


class DrawError(InputError):
    """A round of spot checks cannot go on as asked."""


class RosterFormError(InputError):
    """What was entered about a stay cannot be taken."""
