"""Rows of central's tables, filled up to what their tables ask for."""


def filled(table, **row):
    """Fill a row; what may be empty is, everything else is nothing of its kind."""

    def empty(column):
        return None if column.nullable else column.type.python_type()

    return {column.name: row.get(column.name, empty(column)) for column in table.c}
