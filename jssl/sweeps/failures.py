"""What a user's own problem raises, as one line that says at which point and where."""

import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jssl.errors import InputError, shown


def failure(
    error: BaseException, static: Iterable[tuple[str, Any]], traced: Iterable[str]
) -> InputError:
    """Return the error to raise for what the functions of a problem raised.

    Example:
        >>> try:
        ...     [][0]
        ... except IndexError as error:
        ...     print(failure(error, [("width", 8)], ["rate"]))
        the problem with width=8, rate traced cannot run: IndexError: list index out of range ...

    Args:
        error: what was raised.
        static: (field, value) pairs of the point.
        traced: its fields that are numbers inside the program.

    Returns:
        An InputError with the file and the line in which `error` was raised.
    """
    where = traceback.extract_tb(error.__traceback__)[-1]
    held = [f"{name}={shown(value)}" for name, value in static]
    fields = ", ".join([*held, *(f"{name} traced" for name in traced)])
    lines = str(error).strip().splitlines()
    return InputError(
        f"the problem{f' with {fields}' if fields else ''} cannot run: {type(error).__name__}: "
        f"{lines[0] if lines else 'no message'} (in {Path(where.filename).name}, line "
        f"{where.lineno}); correct it or the values of its fields"
    )
