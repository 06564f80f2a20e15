"""Money: one rule for more decimal places than a column holds, and one way to write fen as yuan."""

from decimal import ROUND_HALF_UP, Decimal

FEN_A_WAN = 1_000_000
"""Fen in 万元, ten thousand yuan."""


def rounded(value: Decimal, scale: int = 2) -> Decimal:
    """Return `value` with `scale` decimal places, halves away from zero: 12.345 is 12.35, -12.345 is -12.35.

    Importers and audit use it; `CAST(... AS DECIMAL(16,2))` of a decimal does the same in DuckDB and Spark.
    """
    return value.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)


def yuan(fen: int) -> str:
    """Write fen as yuan: 12345 is 123.45."""
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def in_yuan(fen: int) -> str:
    """Write fen as an amount to read, with thousands set apart: -123450 is −¥1,234.50."""
    whole, cents = yuan(abs(fen)).split(".")
    return f"{'−' if fen < 0 else ''}¥{int(whole):,}.{cents}"


def in_wan(fen: int, language: str) -> str:
    """Write a total to read: in Chinese from 10,000 yuan on as 万元 with two decimals, else as `in_yuan`."""
    if language != "zh" or abs(fen) < FEN_A_WAN:
        return in_yuan(fen)
    return f"{'−' if fen < 0 else ''}{rounded(Decimal(abs(fen)) / FEN_A_WAN):,} 万元"
