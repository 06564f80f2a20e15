"""The closed dialect: the SQL that DuckDB and Spark are known to understand alike.

What is not on the list is refused, since a difference between engines would be silent. Times come as whole
numbers, so nothing here knows dates, time zones or intervals.
"""

from collections.abc import Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

ALLOWED: frozenset[type[exp.Expr]] = frozenset(
    {
        # queries
        exp.Select, exp.From, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Distinct,
        exp.With, exp.CTE, exp.Subquery, exp.Table, exp.TableAlias, exp.Alias, exp.Union, exp.Tuple,
        exp.Join, exp.Column, exp.Identifier, exp.Star, exp.Values,
        # conditions and arithmetic
        exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between, exp.In,
        exp.Is, exp.Null, exp.Boolean, exp.Literal, exp.Neg, exp.Paren, exp.Add, exp.Sub, exp.Mul, exp.Div,
        exp.IntDiv, exp.Mod, exp.Case, exp.If, exp.Coalesce, exp.Cast, exp.DataType, exp.DataTypeParam,
        exp.Greatest, exp.Least, exp.Abs, exp.Floor, exp.Ceil, exp.Sqrt, exp.DPipe,
        # aggregates and windows
        exp.Count, exp.Sum, exp.Min, exp.Max, exp.ArrayAgg, exp.Filter, exp.Window, exp.WindowSpec,
        exp.RowNumber, exp.Lag, exp.Lead,
        # lists: of ids only, sorted by the engine where order shows
        exp.Array, exp.ArrayFilter, exp.ArrayConcat, exp.ArrayDistinct, exp.ArraySort, exp.Flatten,
        exp.Lambda, exp.Parameter, exp.Var, exp.Placeholder,
    }
)  # fmt: skip
"""Syntax-tree nodes a step or rule may use."""

TYPES = frozenset({"BIGINT", "INT", "DOUBLE", "DECIMAL", "VARCHAR", "TEXT", "BOOLEAN", "ARRAY", "LIST"})
"""Types a step or rule may cast to; times come as whole numbers."""


def parse(sql: str) -> exp.Query:
    """Parse one query of the dialect.

    Raises:
        ValueError: it is not SQL, or not a single query.
    """
    try:
        statements = sqlglot.parse(sql, read="duckdb")
    except (ParseError, TokenError) as error:
        raise ValueError(f"not valid SQL: {error}") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ValueError("a rule is exactly one query")
    return statements[0]


def offences(sql: str) -> Iterator[str]:
    """Name everything in a query that is outside of the dialect."""
    try:
        tree = parse(sql)
    except ValueError as error:
        yield str(error)
        return
    seen = set()
    for node in tree.walk():
        problem = _offence(node)
        if problem and problem not in seen:
            seen.add(problem)
            yield problem


def _offence(node: exp.Expr) -> str | None:
    kind = type(node)
    if kind is exp.DataType and node.this.name not in TYPES:
        return f"the type {node.sql('duckdb')} is outside of the dialect: times are whole numbers"
    if kind is exp.Join and node.args.get("method"):
        return f"a join by {node.args['method']} is outside of the dialect"
    if kind is exp.ArrayAgg and node.find(exp.Order):
        return "an ordered list differs between engines: leave the order out, lists are sorted afterwards"
    if kind not in ALLOWED:
        return f"{node.sql('duckdb')[:60]!r} ({kind.__name__}) is outside of the dialect"
    return None


def to_spark(sql: str) -> str:
    """Translate a query of the dialect to Spark SQL."""
    return sqlglot.transpile(sql, read="duckdb", write="spark")[0]
