"""The knowledge tables of a rule pack as tables of the engine, `known_<name>`."""

import pyarrow as pa

from renzheng.rules.pack import Pack

SCHEMAS = {
    "caps": pa.schema([("item_class", pa.string()), ("period", pa.string()), ("most", pa.int64())]),
    "item_limits": pa.schema(
        [
            ("item_code", pa.string()),
            ("sex_limit", pa.string()),
            ("min_age_years", pa.int64()),
            ("max_age_years", pa.int64()),
        ]
    ),
}


def knowledge_tables(pack: Pack) -> dict[str, pa.Table]:
    """Type the knowledge of a pack; a table that it lacks has no rows."""
    return {
        f"known_{name}": pa.Table.from_pylist(
            [
                {field.name: _typed(row.get(field.name), field.type) for field in schema}
                for row in pack.knowledge.get(name, ())
            ],
            schema=schema,
        )
        for name, schema in SCHEMAS.items()
    }


def _typed(text: str | None, kind: pa.DataType) -> str | int | None:
    if not text:
        return None
    return int(text) if pa.types.is_integer(kind) else text
