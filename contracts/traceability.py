"""Traceability codes of medicines: one spelling for each box, and the product that a code names.

Three kinds are in use (Xinhua, January 2026; the printing rules of 码上放心, version 1.2, 2017): twenty
digits, the GS1 element string of a DataMatrix, and a maker's own. A scanner gives a GS1 code with or without
its symbology mark, brackets and separators; the same box must be the same text however it was read.
"""

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass

LONGEST = 100
"""Characters of `drug_trac_codg` in the national interface."""
_DIGITS = re.compile(r"\d{20}")
_PRODUCT_DIGITS = 7
_SEPARATOR = "\x1d"
_BRACKETED = re.compile(r"\((\d{2})\)([^(]*)")
_FIXED = {"01": 14, "11": 6, "17": 6}
"""GS1 General Specifications: these application identifiers have values of one length; 10 and 21 up to 20."""
_VARIABLE = {"10": 20, "21": 20}
_SYMBOLOGY = re.compile(r"\](?:d2|C1|Q3|e0)")
_PLAIN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class TraceabilityCode:
    """One code, as it names one box.

    Args:
        code: its one spelling: the digits; `01GTIN21SERIAL` of a GS1 code; a maker's own as printed.
        product: what it says of the product: the first seven of twenty digits, the GTIN; else empty.
        batch: of a GS1 code, where it says so.
        expires_on: of a GS1 code, where it says so.
    """

    code: str
    product: str = ""
    batch: str = ""
    expires_on: dt.date | None = None


def read_traceability_code(text: str) -> TraceabilityCode | None:
    """Read a code as it was scanned or typed.

    Returns:
        None where it can be no code: empty, one character again and again, over 100 characters, letters that
        no code has, a GTIN whose check digit is wrong.
    """
    plain = unicodedata.normalize("NFKC", text).strip().lstrip("\ufeff")
    whole = plain.replace(" ", "")
    if _DIGITS.fullmatch(whole):
        return None if len(set(whole)) == 1 else TraceabilityCode(whole, whole[:_PRODUCT_DIGITS])
    if (elements := _elements(whole)) is not None:
        return _of_gs1(elements)
    if whole.startswith(("(01)", "]")) or len(whole) < 4 or len(whole) > LONGEST or len(set(whole)) == 1:  # noqa: PLR2004 - no box has so short a one
        return None
    return TraceabilityCode(whole) if _PLAIN.fullmatch(whole) else None


def has_valid_check_digit(gtin: str) -> bool:
    """Return whether the last digit of a GTIN is right (GS1 General Specifications, modulo 10)."""
    weighted = sum(
        int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(gtin[:-1]))
    )
    return (10 - weighted % 10) % 10 == int(gtin[-1])


def _of_gs1(elements: dict[str, str]) -> TraceabilityCode | None:
    gtin, serial = elements["01"], elements.get("21", "")
    if not has_valid_check_digit(gtin) or not serial:
        return None
    return TraceabilityCode(
        f"01{gtin}21{serial}", gtin, elements.get("10", ""), _last_day(elements.get("17", ""))
    )


def _elements(text: str) -> dict[str, str] | None:
    """Take a GS1 element string apart; None where it is none."""
    bare = _SYMBOLOGY.sub("", text, count=1) if text.startswith("]") else text
    if bare.startswith("("):
        found = dict(_BRACKETED.findall(bare))
        return found if _holds(found) and "".join(f"({k}){v}" for k, v in found.items()) == bare else None
    rest, found = bare.removeprefix(_SEPARATOR), {}
    while rest:
        name, rest = rest[:2], rest[2:]
        if name in _FIXED:
            found[name], rest = rest[: _FIXED[name]], rest[_FIXED[name] :].removeprefix(_SEPARATOR)
        elif name in _VARIABLE:
            found[name], _, rest = rest.partition(_SEPARATOR)
        else:
            return None
    return found if _holds(found) else None


def _holds(found: dict[str, str]) -> bool:
    sizes = all(
        len(found[name]) == size and found[name].isdigit() for name, size in _FIXED.items() if name in found
    )
    return (
        sizes
        and "01" in found
        and all(0 < len(found[name]) <= most for name, most in _VARIABLE.items() if name in found)
        and found.keys() <= {*_FIXED, *_VARIABLE}
    )


def _last_day(text: str) -> dt.date | None:
    """Return the day of YYMMDD of this century; day 00 is the month's last (GS1)."""
    if not text:
        return None
    year, month, day = 2000 + int(text[:2]), int(text[2:4]), int(text[4:])
    try:
        if day:
            return dt.date(year, month, day)
        return dt.date(year + month // 12, month % 12 + 1, 1) - dt.timedelta(days=1)
    except ValueError:
        return None
