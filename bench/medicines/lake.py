"""A week of medicine sales as Parquet, boxes sold twice among them and innocent ones beside them."""

# ruff: noqa: E501, S608 - one row of a table a line; SQL is put together from whole numbers and quoted paths

from pathlib import Path

from renzheng.bench.audit.lake import write_lake
from renzheng.central.audit.connection import connect
from renzheng.central.audit.sources import quoted

LINES = 2_000
"""Claim lines of the lake: an audit without any would be refused."""
TWICE_EVERY = 100_000
"""One box in so many is sold again at another institution."""
RETURNED_EVERY = 1_000
"""One in so many is returned and sold again where it was bought."""
SPLIT_EVERY = 50
"""One pack in so many is sold in five parts."""
FIRST = "TIMESTAMPTZ '2026-03-02 08:00:00+08'"


def write_medicines(folder: Path, sales: int) -> int:
    """Write a lake of about so many sales and as many purchases.

    Returns:
        How many boxes were sold twice.
    """
    write_lake(folder, LINES)
    with connect() as connection:
        connection.execute("SET preserve_insertion_order = false")
        for name, sql in (("drug_sales", _sales(sales)), ("drug_stock", _stock(sales))):
            connection.execute(f"COPY ({sql}) TO '{quoted(folder / (name + '.parquet'))}' (FORMAT parquet)")
    return len(range(0, sales, TWICE_EVERY))


def _shop(number: str) -> str:
    return f"'H' || lpad(CAST(({number}) % 20 AS VARCHAR), 8, '0')"


def _box(number: str) -> str:
    return f"'81' || lpad(CAST({number} AS VARCHAR), 18, '0')"


def _sales(sales: int) -> str:
    def told(number: str, kind: str, shop: str, at: str, *, split: str = "false", units: str = "24") -> str:
        return (
            f"'{number}' || i AS sale_id, {shop} AS institution_id, '{kind}' AS kind, "
            "CAST(NULL AS VARCHAR) AS line_id, CAST(NULL AS VARCHAR) AS settlement_id, "
            f"'P' || '{number}' || (i % 300000) AS person_id, {_box('i')} AS code, '8100000' AS product_code, "
            "'D' || (i % 5000) AS item_code, 'L1' AS batch, DATE '2028-01-01' AS expires_on, "
            f"{split} AS split, CAST({units} AS DECIMAL(16,4)) AS units, 'fund' AS paid_by, "
            f"{FIRST} + to_seconds(i % 36000) + to_hours({at}) AS sold_at, CAST(NULL AS VARCHAR) AS returned_of"
        )

    day = "24 * (i % 3)"
    parts = " UNION ALL ".join(
        f"SELECT {told(f'T{part}', 'sale', _shop('i'), f'{day} + {part}', split='true', units='4')} "
        f"FROM range({SPLIT_EVERY // 2}, {sales}, {SPLIT_EVERY}) t(i)"
        for part in range(1, 5)
    )
    one_in = f"i % {SPLIT_EVERY} = {SPLIT_EVERY // 2}"
    whole = told("S", "sale", _shop("i"), day, split=one_in, units=f"CASE WHEN {one_in} THEN 4 ELSE 24 END")
    back, again = (told(name, kind, _shop("i"), at) for name, kind, at in _RETURNED)
    returned = f"range(1, {sales}, {RETURNED_EVERY}) t(i)"
    return (
        f"SELECT {whole} FROM range({sales}) t(i) UNION ALL {parts} "
        f"UNION ALL SELECT {back} FROM {returned} UNION ALL SELECT {again} FROM {returned} "
        f"UNION ALL SELECT {told('Z', 'sale', _shop('i + 1'), f'{day} + 48')} "
        f"FROM range(0, {sales}, {TWICE_EVERY}) t(i)"
    )


_RETURNED = (("R", "return", "24 * (i % 3) + 20"), ("A", "sale", "24 * (i % 3) + 40"))


def _stock(sales: int) -> str:
    def bought(shop: str, rows: str) -> str:
        return (
            f"SELECT {shop} AS institution_id, 'purchase' AS kind, {_box('i')} AS code, "
            "'8100000' AS product_code, 'D' || (i % 5000) AS item_code, 'L1' AS batch, "
            "DATE '2028-01-01' AS expires_on, CAST(1 AS DECIMAL(16,4)) AS quantity, "
            f"CAST(24 AS DECIMAL(16,4)) AS pack_units, {FIRST} - to_days(20) AS recorded_at FROM range({rows}) t(i)"
        )

    # whoever sells a box again has bought it, too: only the second sale is wrong
    return (
        f"{bought(_shop('i'), str(sales))} UNION ALL {bought(_shop('i + 1'), f'0, {sales}, {TWICE_EVERY}')}"
    )
