"""The closed dialect as syntax: what a query's tree may hold, and how it is written again as text."""

import re
from collections.abc import Callable, Iterator, Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from renzheng.rules.query import Reading

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
        exp.Greatest, exp.Least, exp.Abs, exp.Floor, exp.Ceil, exp.Sqrt, exp.Ln, exp.Exp, exp.DPipe, exp.Like,
        # aggregates and windows
        exp.Count, exp.Sum, exp.Min, exp.Max, exp.ArrayAgg, exp.Filter, exp.Window, exp.WindowSpec,
        exp.RowNumber, exp.Lag, exp.Lead,
        # lists: of ids only, sorted by the engine where order shows
        exp.Array, exp.ArrayFilter, exp.ArrayConcat, exp.ArrayDistinct, exp.ArraySort, exp.Flatten,
        exp.Lambda, exp.Placeholder,
    }
)  # fmt: skip
"""Syntax-tree nodes a step or rule may use."""

TYPES = frozenset({"BIGINT", "INT", "DOUBLE", "DECIMAL", "VARCHAR", "TEXT", "BOOLEAN", "ARRAY", "LIST"})
"""Types a step or rule may cast to; times come as whole numbers."""

MOST_CHARACTERS = 40_000
"""Longest query: the longest of the national pack has a tenth of it."""
MOST_NODES = 8_000

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_WORDY = (exp.Identifier, exp.Literal, exp.Window, exp.WindowSpec)
"""Nodes that carry harmless text of their own."""
_JOINS = {"INNER", "OUTER", "CROSS", "SEMI", "ANTI", "LEFT", "RIGHT", "FULL"}


def parse(sql: str) -> exp.Query:
    """Parse one query of the dialect.

    Raises:
        ValueError: it is not SQL, not a single query, or larger than a rule may be.
    """
    if len(sql) > MOST_CHARACTERS:
        raise ValueError(f"the query has {len(sql)} characters; a rule has at most {MOST_CHARACTERS}")
    try:
        statements = sqlglot.parse(sql, read="duckdb")
    except (ParseError, TokenError) as error:
        raise ValueError(f"not valid SQL: {error}") from error
    except RecursionError:
        raise ValueError("the query is nested too deeply") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ValueError("a rule is exactly one query")
    return statements[0]


def read(sql: str) -> Reading:
    """Parse and judge one query."""
    try:
        return _read(parse(sql), sql)
    except RecursionError:
        return Reading(("the query is nested too deeply",))
    except ValueError as error:
        return Reading((str(error),))


def _read(tree: exp.Query, sql: str) -> Reading:
    nodes = list(tree.walk())
    named = frozenset(str(node.this) for node in nodes if isinstance(node, exp.Placeholder))
    if len(nodes) > MOST_NODES:
        problem = f"the query has {len(nodes)} parts; a rule has at most {MOST_NODES}"
        return Reading((problem,), placeholders=named)
    judged = dict.fromkeys(_offence(node) or _shape(node) for node in nodes)
    problems = tuple(problem for problem in judged if problem)
    tables = tuple(_strangers(tree, frozenset()))
    hiding = tuple(node.alias for node in nodes if isinstance(node, exp.CTE))
    return Reading(problems, tables, hiding, named, () if problems else _parts(tree, sql))


def _offence(node: exp.Expr) -> str | None:
    kind = type(node)
    if kind is exp.DataType and (not isinstance(node.this, exp.DType) or node.this.name not in TYPES):
        return f"the type {node.sql('duckdb')} is outside of the dialect: times are whole numbers"
    if kind is exp.ArrayAgg and node.find(exp.Order):
        return "an ordered list differs between engines: leave the order out, lists are sorted afterwards"
    if kind not in ALLOWED:
        return f"{node.sql('duckdb')[:60]!r} ({kind.__name__}) is outside of the dialect"
    return None


def _shape(node: exp.Expr) -> str | None:
    """Return what is wrong with the plain words, names and flags of an allowed node."""
    args = {name for name, value in node.args.items() if value not in (None, False, [], "")}
    check = _SHAPES.get(type(node))
    if check is not None:
        return check(node, args)
    if not isinstance(node, _WORDY) and any(isinstance(node.args[name], str) for name in args):
        return f"{_shown(node)} is outside of the dialect"
    return None


def _table(node: exp.Expr, args: set[str]) -> str | None:
    if args - {"this", "alias", "joins"} or not isinstance(node.this, exp.Identifier):
        return f"{_shown(node)}: a table is named by one plain name, nothing else"
    if not _NAME.fullmatch(node.name):
        return f"{node.name[:60]!r} is no table's name: small letters, digits and _ only"
    return None


def _common_table(node: exp.Expr, args: set[str]) -> str | None:
    if not _NAME.fullmatch(node.alias):
        return f"WITH {node.alias[:60]!r}: names have small letters, digits and _ only"
    if args - {"this", "alias", "materialized"}:
        return f"WITH {node.alias}: a common table expression is a name and a query, nothing else"
    return None


def _with(_node: exp.Expr, args: set[str]) -> str | None:
    return "WITH RECURSIVE may never end: it is outside of the dialect" if args - {"expressions"} else None


def _column(node: exp.Expr, args: set[str]) -> str | None:
    if args & {"db", "catalog"}:
        return f"{_shown(node)}: a column is named by its table's alias and its name"
    return None


def _union(_node: exp.Expr, args: set[str]) -> str | None:
    if args & {"by_name", "side", "kind", "on"}:
        return "UNION matches columns by their place, without BY NAME"
    return None


def _join(node: exp.Expr, args: set[str]) -> str | None:
    words = {str(node.args[name]).upper() for name in args & {"method", "kind", "side"}}
    if not words <= _JOINS or args - {"this", "on", "using", "kind", "side"}:
        return f"a join by {' '.join(sorted(words - _JOINS)) or 'such means'} is outside of the dialect"
    return None


def _parameter(node: exp.Expr, _args: set[str]) -> str | None:
    if not isinstance(node.this, str) or not _NAME.fullmatch(node.this):
        return f"{_shown(node)} is no parameter: write $name"
    return None


def _like(node: exp.Expr, _args: set[str]) -> str | None:
    if not isinstance(node.expression, exp.Literal) or "\\" in node.expression.name:
        return "LIKE takes a plain text without backslash, which engines read differently"
    return None


_SHAPES: Mapping[type[exp.Expr], Callable[[exp.Expr, set[str]], str | None]] = {
    exp.Table: _table,
    exp.CTE: _common_table,
    exp.With: _with,
    exp.Column: _column,
    exp.Union: _union,
    exp.Join: _join,
    exp.Placeholder: _parameter,
    exp.Like: _like,
}


def _shown(node: exp.Expr) -> str:
    return repr(node.sql("duckdb")[:60])


def _strangers(node: exp.Expr, known: frozenset[str]) -> Iterator[str]:
    """Yield the tables that are not common table expressions in reach."""
    extra = node.args.get("with_")
    for cte in extra.expressions if extra else ():
        yield from _strangers(cte.this, known)
        known |= {cte.alias}
    if isinstance(node, exp.Table) and node.name not in known:
        yield node.name
    for child in node.iter_expressions():
        if child is not extra:
            yield from _strangers(child, known)


def _parts(tree: exp.Query, sql: str) -> tuple[str, ...]:
    """Write a tree as text, cut at its placeholders; they are marked by a word that the query has not.

    Raises:
        ValueError: the word came out where no placeholder was.
    """
    mark = "placeholder_"
    while mark in sql:
        mark += "x_"
    found = list(tree.find_all(exp.Placeholder))
    for node in found:
        node.replace(exp.Var(this=f"{mark}{node.this}$"))
    text = tree.sql("duckdb", identify=True, comments=False, pretty=True, copy=False)
    parts = tuple(re.split(rf"{mark}(\w+)\$", text))
    if len(parts) != 2 * len(found) + 1:
        raise ValueError("its placeholders cannot be told from its other words")
    return parts


def to_spark(sql: str) -> str:
    """Translate a query of the dialect to Spark SQL."""
    return sqlglot.transpile(sql, read="duckdb", write="spark")[0]
