"""What is known of one query of the closed dialect once it has been parsed and judged."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """One query, read, so that its text is parsed once however often it is asked about.

    Args:
        problems: everything that is outside of the dialect.
        tables: the tables it reads besides its own common table expressions, in order.
        hiding: the names of its common table expressions, in order.
        placeholders: the names written as `$name`; None when it does not parse.
        parts: the query as it is run, written again from its syntax tree: text and names of placeholders in
            turn; nothing when there are problems.
    """

    problems: tuple[str, ...]
    tables: tuple[str, ...] = ()
    hiding: tuple[str, ...] = ()
    placeholders: frozenset[str] | None = None
    parts: tuple[str, ...] = ()
