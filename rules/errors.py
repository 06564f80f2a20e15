"""What can be wrong with a rule pack."""

from renzheng.contracts.errors import InputError


class RulePackError(InputError):
    """A rule pack cannot be used; carries every problem with its place."""


class UnsignedPackError(RulePackError):
    """A pack is not signed by the bureau whose key the settings name."""
