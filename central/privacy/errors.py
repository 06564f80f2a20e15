"""What can be wrong with a request about a person's data."""

from renzheng.contracts.errors import InputError


class RequestRefusedError(InputError):
    """A request about a person's data cannot be carried out as asked."""
