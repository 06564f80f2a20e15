"""The errors of accounts, roles and the access log."""

from renzheng.contracts.errors import FaultError, InputError


class AccountError(InputError):
    """An account cannot be made, changed or used as asked."""


class PasswordError(InputError):
    """A password cannot be taken."""


class DutyError(InputError):
    """One person may not do both of two duties."""


class AccessLogError(InputError):
    """The access log is not the one that was written."""


class UndeclaredRouteError(FaultError):
    """A route does not name the permission that it needs, so the service does not start."""


class PasskeyError(InputError):
    """A passkey cannot be registered, or does not hold."""


class ProviderError(InputError):
    """What the identity provider says, or somebody says in its name, does not hold."""


class PersonIdError(InputError):
    """A person's id that names nobody, or several people."""
