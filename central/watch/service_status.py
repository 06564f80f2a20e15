"""The state of the service process, as the web applications show it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from renzheng.central.attempts.publishing import Publisher
from renzheng.central.store.database import Database
from renzheng.central.watch.problems import Problem
from renzheng.common.supervised import Workers


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """How the service is.

    Args:
        problems: tells what is wrong.
        workers: the process's threads.
        database: a store apart from that of the pages, for health and metrics; None: the pages' own.
        sign_ins: has the sign-in figures of the last weeks.
    """

    problems: Callable[[], Sequence[Problem]] = tuple
    workers: Workers = field(default_factory=Workers)
    database: Database | None = None
    sign_ins: Publisher | None = None

    def well(self) -> bool:
        """Whether the service does its work: every thread moves, and nothing critical is wrong with it."""
        of_service = ("store_refuses", "worker_stuck", "worker_failing", "broker_unreachable")
        return self.workers.moving() and not any(
            one.kind in of_service and not one.elsewhere for one in self.problems()
        )
