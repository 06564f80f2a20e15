"""The withdrawals that some device has not certified yet, in a file beside the store.

It lies with the halves of persons' keys, which no backup holds and a restore leaves in place: a store that is
set back to before a withdrawal hears of it from here, also where no device has carried it out yet.
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from renzheng.central.privacy.errors import RequestRefusedError
from renzheng.central.privacy.withdrawals import Withdrawal
from renzheng.common.files import shred, write_whole

_FORM = TypeAdapter(list[Withdrawal])


class WithdrawalJournal:
    """The file; there is none while nothing is outstanding.

    Args:
        folder: `Settings.shares_dir`.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".withdrawals"

    def read(self) -> Sequence[Withdrawal]:
        """Read what is outstanding; nothing when there is no file.

        Raises:
            RequestRefusedError: the file is damaged; nothing is written over it.
        """
        try:
            return _FORM.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except ValidationError:
            raise RequestRefusedError(
                f"The file of outstanding withdrawals {self._path} cannot be read.",
                why="It is damaged, and may name withdrawals that the store does not know.",
                do="Hold it against the receipts of withdrawals, ask them again, then delete the file.",
            ) from None

    def write(self, outstanding: Sequence[Withdrawal]) -> None:
        """Keep what is outstanding now, in place of what was."""
        content = _FORM.dump_json(list(outstanding))
        if not outstanding:
            shred(self._path)
        elif not self._path.exists() or self._path.read_bytes() != content:
            write_whole(self._path, content)
