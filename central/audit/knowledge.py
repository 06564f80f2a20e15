"""The knowledge tables of a rule pack as tables of the engine, `known_<name>`, as they hold in its region.

`valid_from` and `valid_to` are days as rules see them, numbers since 1970-01-01, and never empty: a rule
joins the row that holds on its service day.
"""

import datetime as dt

import pyarrow as pa

from renzheng.central.audit.request import day_number
from renzheng.rules.pack import Pack

DAYS = [("valid_from", pa.int64()), ("valid_to", pa.int64())]
POINT = [("point", pa.string()), ("point_version", pa.string())]
"""Which point of a knowledge pack a row is; NULL for rows of the rule pack itself."""
SCHEMAS = {
    "caps": pa.schema([("item_class", pa.string()), ("period", pa.string()), ("most", pa.int64()), *DAYS]),
    "item_limits": pa.schema(
        [
            ("item_code", pa.string()),
            ("sex_limit", pa.string()),
            ("min_age_years", pa.int64()),
            ("max_age_years", pa.int64()),
            *DAYS,
            *POINT,
        ]
    ),
    "pairs": pa.schema(
        [
            ("main_code", pa.string()),
            ("sub_code", pa.string()),
            ("within", pa.string()),
            ("hours", pa.int64()),
            *DAYS,
            *POINT,
        ]
    ),
    "frequencies": pa.schema(
        [("item_code", pa.string()), ("most", pa.int64()), ("period", pa.string()), *DAYS, *POINT]
    ),
    "conditions": pa.schema(
        [
            ("item_code", pa.string()),
            ("kind", pa.string()),
            ("allowed", pa.string()),
            ("lowest", pa.int64()),
            *DAYS,
            *POINT,
        ]
    ),
    "periods": pa.schema(
        [("item_code", pa.string()), ("most", pa.int64()), ("days", pa.int64()), *DAYS, *POINT]
    ),
}


def knowledge_tables(pack: Pack) -> dict[str, pa.Table]:
    """Type the knowledge of a pack; a table that it lacks has no rows."""
    return {
        f"known_{name}": pa.Table.from_pylist(
            [
                {field.name: _typed(field.name, row.get(field.name), field.type) for field in schema}
                for row in pack.knowledge.get(name, ())
            ],
            schema=schema,
        )
        for name, schema in SCHEMAS.items()
    }


def _typed(name: str, text: str | None, kind: pa.DataType) -> str | int | None:
    if not text:
        return None
    if (name, kind) in DAYS:
        return day_number(dt.date.fromisoformat(text))
    return int(text) if pa.types.is_integer(kind) else text
