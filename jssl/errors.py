"""The exceptions: for bad input, with the help it gives, and for collapsed embeddings."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

LONGEST = 2000
"""Characters of a message, and of a value in it, that are shown."""
LONGEST_VALUE = 80


class InputError(ValueError):
    """Input that cannot be used; the message is one line with the fault and a remedy.

    The command line prints only the message and exits with status 2.

    Example:
        >>> from jssl.errors import InputError
        >>> raise InputError("scale must be positive; got 0")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: scale must be positive; got 0

    Line breaks and other control characters, which a file name or a key may contain, are written as
    escapes, and what is longer than a screen is shortened.
    """

    def __init__(self, message: object) -> None:
        super().__init__(_shortened(printable(str(message)), LONGEST))


class CollapseError(RuntimeError):
    """Embeddings have collapsed during training; the message is one line that says how.

    `jssl.Monitor(raise_on="collapse")` raises it.

    Attributes:
        metrics: name -> number, as `jssl.Monitor.metrics` returns them.
    """

    def __init__(self, message: str, metrics: Mapping[str, float]) -> None:
        super().__init__(_shortened(printable(message), LONGEST))
        self.metrics = dict(metrics)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.metrics)


def shown(value: Any) -> str:
    r"""Return a value as a message shows it: one line, shortened.

    Example:
        >>> print(shown("a\nb"), len(shown("a" * 1000)), shown(2**100_000))
        'a\nb' 80 a number of 30,103 digits

    Args:
        value: anything.
    """
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write whole numbers of thousands of digits
        if isinstance(value, int):
            return f"a number of {int(value.bit_length() * 0.30103):,} digits"
        text = f"a {type(value).__name__}"
    return _shortened(printable(text), LONGEST_VALUE)


def printable(text: str) -> str:
    r"""Return a text on one line, control characters written as escapes.

    Example:
        >>> print(printable("a\nb"))
        a\nb
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not in a registry, naming the nearest that is.

    Example:
        >>> print(unknown_name("loss", "barlow_twin", ["barlow_twins", "vicreg"]))
        unknown loss 'barlow_twin'; did you mean 'barlow_twins'? known: barlow_twins, vicreg
    """
    names = sorted(map(str, known))
    name = shown(name)[1:-1] if isinstance(name, str) else shown(name)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.4)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return InputError(f"unknown {kind} '{name}'; {hint}known: {', '.join(names)}")


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    kept = most - len(" ... ")
    return f"{text[: kept - kept // 2]} ... {text[len(text) - kept // 2 :]}"
