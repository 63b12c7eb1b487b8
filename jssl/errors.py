"""The one exception for bad input, and the help it gives."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Input that cannot be used; the message is one line that says what to do.

    The command line prints the message alone and exits with status 2.

    Example:
        >>> from jssl.errors import InputError
        >>> raise InputError("scale must be positive; got 0")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: scale must be positive; got 0
    """


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not in a registry, naming the nearest that is.

    Example:
        >>> print(unknown_name("loss", "barlow_twin", ["barlow_twins", "vicreg"]))
        unknown loss 'barlow_twin'; did you mean 'barlow_twins'? known: barlow_twins, vicreg
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.4)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return InputError(f"unknown {kind} '{name}'; {hint}known: {', '.join(names)}")
