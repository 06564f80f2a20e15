"""One rule for money and quantities with more decimal places than their column holds."""

from decimal import ROUND_HALF_UP, Decimal


def rounded(value: Decimal, scale: int = 2) -> Decimal:
    """Return `value` with `scale` decimal places, halves away from zero: 12.345 is 12.35, -12.345 is -12.35.

    Importers and audit use it; `CAST(... AS DECIMAL(16,2))` of a decimal does the same in DuckDB and Spark.
    """
    return value.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)
