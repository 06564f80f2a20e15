"""Where a round stands, and what may be shown of it; pure."""

import hashlib
from datetime import datetime
from enum import StrEnum

from renzheng.contracts.rounds import SealedSheet


class SheetState(StrEnum):
    """Where a sheet stands: not due, due and sealed, open for answers, closed."""

    NOT_DUE = "not_due"
    DUE = "due"
    OPEN = "open"
    CLOSED = "closed"


def standing(sealed: SealedSheet, now: datetime, *, opened: bool) -> SheetState:
    """Say where a sheet stands at a moment."""
    if now > sealed.closes_at:
        return SheetState.CLOSED
    if now < sealed.due_at:
        return SheetState.NOT_DUE
    return SheetState.OPEN if opened else SheetState.DUE


def sheet_id(round_id: str, institution_id: str) -> str:
    """Name a sheet in addresses and files; the name tells neither round nor institution."""
    bound = f"renzheng sheet {len(round_id)} {round_id} {institution_id}"
    return hashlib.sha256(bound.encode()).hexdigest()[:32]
