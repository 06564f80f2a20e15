"""What can go wrong with knowledge and checks."""

from renzheng.contracts.errors import InputError


class KnowledgeError(InputError):
    """Knowledge cannot be taken in, or put in force, as it is."""
