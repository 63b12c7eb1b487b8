"""What a cell of a table of text holds: a number, a list of numbers, nothing, or something else."""

import re

import numpy as np

MISSING = frozenset(
    (
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN"),
        *("-NaN", "-nan", "NaN", "nan", "<NA>", "N/A", "NA", "NULL", "None", "n/a", "null"),
    )
)
"""What pandas reads as a missing number."""

COMMA = re.compile(r"\s*[+-]?\d+,\d+([eE][+-]?\d+)?\s*", re.ASCII)
"""A number with a decimal comma."""
WHOLE = re.compile(r"\s*[+-]?\d+(\.0+)?\s*", re.ASCII)
"""A whole number, also as pandas writes it in a column of floats: 3.0."""
GROUPED = re.compile(r"\s*[+-]?\d{1,3}((,\d{3})+\.\d*|(,\d{3}){2,}|(\.\d{3})+,\d*)\s*")
"""A number with separators between thousands: 1,234.5 or 1,234,567 or 1.234,5."""

_NUMBER = re.compile(
    r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*|[+-]?inf(inity)?", re.ASCII | re.IGNORECASE
)
_SPACED = re.compile(r"\s*[+-]?\d{1,3}([ _'’\u00a0\u2009\u202f]\d{3})+([.,]\d+)?\s*")
_PERCENT = re.compile(r"\s*[+-]?\d+([.,]\d+)?\s*%\s*")
_BETWEEN = re.compile(r"[\s,()\[\]]+")
"""What stands between the numbers of nested lists and tuples."""
_SHOWN = 40


def is_number(text: str) -> bool:
    """Return whether a cell is a number in any notation, also one that is not read.

    Example:
        >>> [is_number(cell) for cell in ("1.5", "1,5", "1_000", "1 000", "cat")]
        [True, True, True, True, False]
    """
    if "_" in text:  # 0_1 is a name, though Python reads it as a number
        return is_spaced(text)
    try:
        float(text)
    except ValueError:
        return bool(COMMA.fullmatch(text) or is_spaced(text))
    return True


def is_spaced(text: str) -> bool:
    """Return whether a cell has a space, an apostrophe or an underscore between thousands.

    Example:
        >>> is_spaced("1'234.5"), is_spaced("1234.5")
        (True, False)
    """
    return _SPACED.fullmatch(text) is not None


def is_quantity(text: str) -> bool:
    """Return whether a cell is a number in any notation or a percentage.

    Example:
        >>> is_quantity("12%"), is_quantity("12th")
        (True, False)
    """
    return is_number(text) or _PERCENT.fullmatch(text) is not None


def is_missing(text: str) -> bool:
    """Return whether a cell is empty or says that its value is missing.

    Example:
        >>> is_missing(" NA "), is_missing("?")
        (True, False)
    """
    return text.strip() in MISSING or text.strip().lower() in ("na", "n/a", "none")


def is_read(text: str, decimal: str) -> bool:
    """Return whether pandas reads a cell as a number or as a missing one.

    Example:
        >>> is_read("1,5", ","), is_read("1,5", "."), is_read("", ".")
        (True, False, True)
    """
    if text in MISSING:
        return True
    if decimal == ",":
        return "." not in text and _NUMBER.fullmatch(text.replace(",", ".")) is not None
    return _NUMBER.fullmatch(text) is not None


def fault_of(text: str, decimal: str) -> str:
    """Return what is wrong with a cell that is not read as a number, and what to do.

    Example:
        >>> fault_of("1_000", ".")
        "'1_000' has a separator between thousands; write it without"
    """
    if is_spaced(text) or GROUPED.fullmatch(text):
        says = "has a separator between thousands; write it without"
    elif COMMA.fullmatch(text):
        says = "has a decimal comma; write all numbers with decimal points"
    elif decimal == "," and is_read(text, "."):
        says = "has a decimal point, where lines above have commas; write all numbers with points"
    elif _PERCENT.fullmatch(text):
        says = "has a percent sign; write the number without it"
    elif is_number(text) and text.strip().lower().lstrip("+-") != "nan":
        says = "is not a number in the digits 0 to 9, a sign and a decimal point; write it so"
    else:
        says = "is not a number; write a number, or leave the row out if it is missing"
    return f"{shown(text)} {says}"


def shown(text: str) -> str:
    r"""Return a cell for a message: on one line, and the beginning of a long one.

    Example:
        >>> shown("a\nb")
        "'a b'"
    """
    line = re.sub(r"[\r\n\t]+", " ", text)
    return f"'{line}'" if len(line) <= _SHOWN else f"'{line[:_SHOWN]}...'"


def is_list(text: str) -> bool:
    """Return whether a cell holds a list in brackets, a tuple of numbers or a tensor.

    Words in parentheses, and a number in them, are no tuple.

    Example:
        >>> [is_list(cell) for cell in ("[0.1, 0.2]", "(0.1, 0.2)", "tensor([0.1])", "(a, b)")]
        [True, True, True, False]
    """
    text = text.strip()
    if text.startswith("(") and text.endswith(")"):
        parts = [part for part in _BETWEEN.split(text) if part]
        return all(map(is_number, parts)) and (len(parts) > 1 or "," in text)
    return (text.startswith("[") and text.endswith("]")) or text.startswith(("tensor([", "array(["))


def _parts(text: str) -> list[str]:
    """Return what stands in a list between commas or spaces; a tuple may end with a comma."""
    inside = text.strip()[1:-1].strip()
    inside = inside.removesuffix(",") if text.strip().startswith("(") else inside
    return inside.split("," if "," in inside else None)


def numbers_of(text: str) -> np.ndarray | None:
    """Return the numbers of a list or tuple, between commas or spaces; None where it holds others.

    Example:
        >>> numbers_of("[0.5, 2]").tolist(), numbers_of("[0.5 2.]").tolist(), numbers_of("[a]")
        ([0.5, 2.0], [0.5, 2.0], None)
    """
    if not is_list(text):
        return None
    try:
        return np.array(_parts(text), np.float64)
    except ValueError:
        return None
