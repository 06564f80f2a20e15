"""Money: one rule for more decimal places than a column holds, and one way to write fen as yuan."""

from decimal import ROUND_HALF_UP, Decimal


def rounded(value: Decimal, scale: int = 2) -> Decimal:
    """Return `value` with `scale` decimal places, halves away from zero: 12.345 is 12.35, -12.345 is -12.35.

    Importers and audit use it; `CAST(... AS DECIMAL(16,2))` of a decimal does the same in DuckDB and Spark.
    """
    return value.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)


def yuan(fen: int) -> str:
    """Write fen as yuan: 12345 is 123.45."""
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"
