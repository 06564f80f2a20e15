"""Put the parts of checks together for a site."""

import datetime as dt
from collections.abc import Callable, Sequence

from joserfc.jwk import OKPKey

from renzheng.central.checks.filling import fill
from renzheng.central.checks.history import History
from renzheng.central.checks.in_force import InForce
from renzheng.central.checks.keeping import Keeper
from renzheng.central.checks.lost_power import Lost
from renzheng.central.checks.service import Checks, Terms
from renzheng.central.settings import Settings
from renzheng.central.site.succession import verifying_keys

HISTORY_SECONDS = 20.0


def checks_of(
    settings: Settings,
    clock: Callable[[], dt.datetime],
    lost: Callable[[], Lost] = dict,
    count: Callable[..., None] = lambda *_, **__: None,
) -> Checks:
    """Put a site's checks together; nothing is opened before the first one.

    Args:
        settings: of the site.
        clock: when it is.
        lost: points that have lost power.
        count: adds to a counter.
    """

    def known() -> Sequence[OKPKey]:
        return verifying_keys(settings.key_file)

    folder = settings.checks_dir
    return Checks(
        InForce(settings.knowledge_dir, known, settings.audit.region),
        History(folder / "history.sqlite"),
        Keeper(folder / "checks.sqlite"),
        Terms(settings.timezone, blocks=settings.checks.blocks),
        clock,
        lost,
        count,
    )


def fill_history(settings: Settings) -> None:
    """Bring the history up to the imported tables, if they have changed."""
    fill(settings.tables_dir, settings.checks_dir / "history.sqlite", settings.timezone)
