"""Who delivers ADT messages, and for which institutions each may speak.

A caller is known by its certificate's common name. Those that the site issues begin with ``adt:``, which no
device's can: a device's name is a level of an MQTT topic. So a kiosk's certificate, good at the broker,
admits nobody here, and a hospital system's is nobody at the broker.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from renzheng.central.site.authority import CALLER_PREFIX

UNNAMED = f"{CALLER_PREFIX}?"
"""Stands for a certificate without a common name."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller.

    Args:
        name: the common name of its certificate.
        institutions: for which it may speak; None for all: a link without certificates, whose network is
            what keeps strangers out.
    """

    name: str = "adt"
    institutions: frozenset[str] | None = None

    def may_speak_for(self, institution_id: str) -> bool:
        """Tell whether it may say something of this institution."""
        return self.institutions is None or institution_id in self.institutions


ANYBODY = Caller()
"""Whoever reaches a listener without certificates, or hands a file to a command."""


def caller_of(common_name: str | None, callers: Mapping[str, Sequence[str]], *, of_this_site: bool) -> Caller:
    """Return who shows a certificate; one that may speak for nothing where its name is not told.

    Args:
        common_name: of a certificate that was verified.
        callers: the institutions of each name.
        of_this_site: the site's own CA issued it, which issues devices' certificates, too.
    """
    if common_name is None or (of_this_site and not common_name.startswith(CALLER_PREFIX)):
        return Caller(common_name or UNNAMED, frozenset())
    return Caller(common_name, frozenset(callers.get(common_name, ())))
