"""What can go wrong in an audit."""

from renzheng.contracts.errors import FaultError, InputError, UsageError


class TablesUnusableError(InputError):
    """Input tables cannot be read as the canonical tables; carries every problem found."""


class AuditUsageError(UsageError):
    """The audit was called with arguments that make no sense."""


class EngineError(FaultError):
    """DuckDB or Spark failed while running a step."""


class OutOfTimeError(EngineError):
    """What an engine did took longer than it was allowed to."""


class OutOfRoomError(EngineError):
    """What an engine did needed more memory, and more room on the disk, than it may have."""


class RuleFailedError(EngineError):
    """One rule could not be run to its end; the others can."""


class NothingInScopeError(InputError):
    """There are billed lines, and not one of them can be judged."""
