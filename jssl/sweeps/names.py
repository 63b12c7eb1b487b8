"""Names in a result: what axes, observables and dimensions may be called, and what they become.

A result is one set of names: dimensions, the coordinates on them, and the observables. An axis
keeps its name. An observable, or a dimension of its own, that is called like an axis is stored as
`NAME_value`. Anything else that would share a name is refused.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from jssl.errors import InputError, shown

RESERVED = {
    "seed": "the number of seeds",
    "step": "the training step",
    "max_width": "set by the plan where widths are padded",
    "t": "the effective time in the result",
    "first_bad_step": "the mark of diverged runs in the result",
}
"""Name that no axis may have -> what has it."""
LONGEST_NAME = 100


def check_name(what: str, name: Any) -> None:
    """Raise unless a name can stand in a result and as a folder of its store.

    Example:
        >>> check_name("observable", "loss/train")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: an observable cannot be called 'loss/train': take letters, digits,
        '_', '-', '.', '+' or spaces, at most 100, and begin with none of '.', '-', '+' or '__'
    """
    held = isinstance(name, str) and 1 <= len(name) <= LONGEST_NAME
    if (
        not held
        or not all(c.isalnum() or c in "_-.+ " for c in name)
        or name.startswith((".", "-", "+", " ", "__"))
        or name.endswith((" ", "."))
        or name in ("jssl", "zarr.json")
    ):
        article = "an" if what[0] in "aeiou" else "a"
        message = (
            f"{article} {what} cannot be called {shown(name)}: take letters, digits, '_', '-', "
            f"'.', '+' or spaces, at most {LONGEST_NAME}, and begin with none of '.', '-', '+' or "
            "'__'"
            if name not in ("jssl", "zarr.json")
            else f"{article} {what} cannot be called {shown(name)}, a part of the store; rename it"
        )
        raise InputError(message)


def check_axes(dimensions: Iterable[tuple[str, Iterable[str]]]) -> None:
    """Raise unless the names of the axes and of their dimensions differ from each other.

    Example:
        >>> check_axes([("a_b", ("a", "b")), ("a_b", ("a_b",))])
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: two dimensions of the result would be called 'a_b': that of a, b
        and that of a_b; rename an axis

    Args:
        dimensions: (name, fields that run along it) of each.

    Raises:
        InputError: for a reserved name, one that cannot be stored, or one that comes twice.
    """
    taken: dict[str, str] = {}
    for dimension, fields in dimensions:
        fields = tuple(fields)
        for name in fields:
            if name in RESERVED:
                message = f"'{name}' cannot be an axis: it is reserved, {RESERVED[name]}"
                raise InputError(message)
            check_name("axis", name)
        listed = shown(", ".join(fields))[1:-1]
        for name in {dimension: None, **dict.fromkeys(fields)}:
            if name in taken:
                message = (
                    f"two dimensions of the result would be called {shown(name)}: that of "
                    f"{taken[name]} and that of {listed}; rename an axis"
                )
                raise InputError(message)
        taken |= dict.fromkeys((dimension, *fields), listed)


def stored_names(observed: Any, fields: Iterable[str]) -> dict[str, str]:
    """Return observable -> its name in the result.

    Example:
        >>> stored_names(["loss", "rank"], ["loss", "width"])
        {'loss': 'loss_value', 'rank': 'rank'}

    Args:
        observed: what `observe` returned, or its names.
        fields: names of the axes, and `seed` and `step`.

    Raises:
        InputError: where that is no dictionary, for a name that cannot be stored, or where two
            share one.
    """
    if not isinstance(observed, Iterable) or hasattr(observed, "dtype"):
        message = f"observe must return a dictionary of arrays; got {shown(observed)}"
        raise InputError(message)
    fields = set(fields)
    taken = {*fields, *RESERVED, "point"}
    found: dict[str, str] = {}
    for name in observed:
        check_name("observable", name)
        stored = f"{name}_value" if name in fields and name not in RESERVED else name
        if stored in taken or stored in found.values():
            other = "another observable" if stored in found.values() else "a part of the result"
            message = (
                f"the observable '{name}' would be stored as '{stored}', the name of {other}; "
                "rename it"
            )
            raise InputError(message)
        found[name] = stored
    return found


def own_dimensions(
    observable: str, given: Iterable[str] | None, count: int, taken: Iterable[str]
) -> tuple[str, ...]:
    """Return the names of the dimensions that an observable has of its own, after the step.

    Example:
        >>> own_dimensions("eigenvalues", None, 1, ["width"])
        ('mode',)
        >>> own_dimensions("eigenvalues", None, 1, ["mode"])
        ('mode_value',)

    Args:
        observable: its name.
        given: names from the user; None for `mode` for eigenvalues, else NAME_0, NAME_1, ...
        count: how many there are.
        taken: names of the other dimensions of the result.

    Raises:
        InputError: where the number of names differs, or one comes twice.
    """
    names = list(given or ())
    if names and len(names) != count:
        message = f"dims names {len(names)} axes of '{observable}', which has {count}"
        raise InputError(message)
    if not names:
        modes = observable.removesuffix("_value") == "eigenvalues" and count == 1
        names = ["mode"] if modes else [f"{observable}_{i}" for i in range(count)]
    for name in names:
        check_name("dimension", name)
    found = tuple(f"{name}_value" if name in taken else name for name in names)
    for name in found:
        if name in taken or found.count(name) > 1:
            message = f"two dimensions of '{observable}' would be called '{name}'; rename one"
            raise InputError(message)
    return found


def check_dimensions(variables: Mapping[str, tuple[tuple[str, ...], tuple[int, ...]]]) -> None:
    """Raise where a dimension has two sizes, or is called like an observable.

    Example:
        >>> check_dimensions({"a": (("k",), (2,)), "b": (("k",), (3,))})
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: the dimension 'k' has size 2 in one observable and 3 in 'b'; name
        them apart by dims

    Args:
        variables: name -> (dimensions, shape).
    """
    sizes: dict[str, int] = {}
    for variable, (dims, shape) in variables.items():
        for name, size in zip(dims, shape, strict=True):
            if name in variables:
                message = f"an observable and a dimension are both called '{name}'; rename one"
                raise InputError(message)
            if sizes.setdefault(name, size) != size:
                message = (
                    f"the dimension '{name}' has size {sizes[name]} in one observable and {size} "
                    f"in '{variable}'; name them apart by dims"
                )
                raise InputError(message)
