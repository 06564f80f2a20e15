"""The NHSA institution interface (DOMAIN.md names its fields) as CSV: one transaction a file."""

from collections.abc import Iterator, Mapping, Sequence

from renzheng.central.claims.delimited import BadLine, open_table
from renzheng.central.claims.nhsa_lines import (
    INSTITUTION,
    REQUIRED,
    SOURCES,
    LineDefaults,
    draft_line,
)
from renzheng.central.claims.rejects import Remark
from renzheng.central.claims.source import Advance, InputFile, Item, Missing, Options


class NhsaSource:
    """NHSA fee lines."""

    tables: Sequence[str] = ("claim_lines",)
    sources: Mapping[str, str] = SOURCES

    def __init__(self, options: Options) -> None:
        self._options = options
        self._defaults = LineDefaults(options.institution, options.transaction)

    def check(self, files: Sequence[InputFile]) -> None:
        """Name every required column that any file lacks."""
        missing = Missing()
        for file in files:
            columns = open_table(file.path, encoding=self._options.encoding, fold_case=True).columns
            needed = REQUIRED if self._options.institution else (*REQUIRED, INSTITUTION)
            missing.add(file.name, [name for name in needed if name not in columns])
        missing.raise_if_any(
            "Export the missing columns; for fixmedins_code, --institution CODE will do as well."
        )

    def read(self, file: InputFile, advance: Advance) -> Iterator[Item]:
        """Read one file of fee lines."""
        table = open_table(
            file.path, encoding=self._options.encoding, advance=advance, name=file.name, fold_case=True
        )
        for row in table.rows:
            if isinstance(row, BadLine):
                yield Remark("claim_lines", row.place, row.problem)
            else:
                yield draft_line(row.fields, row.place, self._defaults)
