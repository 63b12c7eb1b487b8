"""The labelled arrays of a result: names, dimensions, dtypes, coordinates.

All names of a result differ: those of its dimensions, of their coordinates and of the observables.
An axis keeps its name. An observable, or a further dimension of an observable, with the name of an
axis is stored as `NAME_value`. Any other name that two of them share is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError, shown, unknown_name
from jssl.seed_statistics import NOT_RUN

RESERVED = {
    "seed": "the number of seeds",
    "step": "the training step",
    "max_width": "set by the plan where widths are padded",
    "t": "the effective time in the result",
    "first_bad_step": "the mark of diverged runs in the result",
}
"""Name that no axis may have -> what the name stands for."""
LONGEST_NAME = 100

LONG_NAMES = {
    "eigenvalues": "eigenvalues of the cross-correlation C",
    "first_bad_step": "first step whose loss or parameters were not finite; "
    f"-1 none, {NOT_RUN} not run",
    "loss": "loss on the pairs of the next step",
    "loss_value": "loss on the pairs of the next step",
    "t": "effective time",
}


class Dimension(NamedTuple):
    """One dimension of the result: an axis, several zipped axes, or a list of points.

    Attributes:
        name: of the dimension.
        fields: argument of `make_problem` -> its value at each position.
    """

    name: str
    fields: Mapping[str, tuple[Any, ...]]

    @property
    def size(self) -> int:
        """Return the number of positions."""
        return len(next(iter(self.fields.values())))


class Variable(NamedTuple):
    """An array of the result.

    Attributes:
        dims: names of its dimensions.
        shape: their sizes.
        dtype: NumPy dtype.
        attributes: units and long name.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: Any
    attributes: Mapping[str, str]

    @property
    def fill(self) -> Any:
        """Return the value of runs that have not been computed."""
        return fill_of(self.dtype)


def fill_of(dtype: Any) -> Any:
    """Return the value of a run that has not been computed, in an array of some dtype.

    Example:
        >>> print(fill_of(np.float32), fill_of(np.int32), fill_of(bool))
        nan -2 False
    """
    kind = np.dtype(dtype).kind
    return {"f": np.nan, "c": np.nan, "b": False}.get(kind, NOT_RUN if kind == "i" else 0)


def check_name(what: str, name: Any) -> None:
    """Raise unless a name can be that of an array, which is a folder in a store.

    Example:
        >>> check_name("observable", "loss/train")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: an observable cannot be called 'loss/train': use at most 100
        letters, digits, '_', '-', '.', '+' or spaces, and do not begin with '.', '-', '+' or '__'
    """
    usable = isinstance(name, str) and 1 <= len(name) <= LONGEST_NAME
    if (
        not usable
        or not all(c.isalnum() or c in "_-.+ " for c in name)
        or name.startswith((".", "-", "+", " ", "__"))
        or name.endswith((" ", "."))
        or name in ("jssl", "zarr.json")
    ):
        article = "an" if what[0] in "aeiou" else "a"
        message = (
            f"{article} {what} cannot be called {shown(name)}: use at most {LONGEST_NAME} letters, "
            "digits, '_', '-', '.', '+' or spaces, and do not begin with '.', '-', '+' or '__'"
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
        InputError: for a reserved name, one that cannot be stored, or one that occurs twice.
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
    """Return the names of the further dimensions of an observable, after the step.

    Example:
        >>> own_dimensions("eigenvalues", None, 1, ["width"])
        ('mode',)
        >>> own_dimensions("eigenvalues", None, 1, ["mode"])
        ('mode_value',)

    Args:
        observable: its name.
        given: names from the user; None for `mode` of eigenvalues, otherwise NAME_0, NAME_1, ...
        count: number of further dimensions.
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
        jssl.errors.InputError: the dimension 'k' has size 2 in one observable and 3 in 'b'; give
        different names in dims

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
                    f"in '{variable}'; give different names in dims"
                )
                raise InputError(message)


def stored_dtype(dtype: Any) -> np.dtype:
    """Return the dtype in which an observable is stored: its own, or a wider one that NumPy has.

    Zarr and xarray have NumPy's dtypes only. float32 represents every bfloat16 and float8, int8 and
    uint8 every integer of fewer bits.

    Example:
        >>> print(stored_dtype(jnp.bfloat16), stored_dtype(jnp.int4), stored_dtype(jnp.complex64))
        float32 int8 complex64

    Raises:
        InputError: for random keys, which are not numbers.
    """
    if jax.dtypes.issubdtype(dtype, jax.dtypes.extended):
        message = (
            f"an observable of dtype {dtype} cannot be stored; return jax.random.key_data(key)"
        )
        raise InputError(message)
    found = np.dtype(dtype)
    if found.isbuiltin == 1:  # float8_e5m2 has the kind of NumPy's floats but is not one of them
        return found
    for kind, wider in ((jnp.floating, np.float32), (jnp.signedinteger, np.int8)):
        if jnp.issubdtype(found, kind):
            return np.dtype(wider)
    return np.dtype(np.uint8)


def variables_of(
    dimensions: Sequence[Dimension],
    seeds: int,
    observed: Sequence[Mapping[str, Any]],
    names: Mapping[str, Sequence[str]],
) -> dict[str, Variable]:
    """Return the arrays of the result; where programs differ in size, the largest.

    Args:
        dimensions: all but the seeds.
        seeds: number of seeds.
        observed: for each program, observable -> shape and dtype of one run, the record points
            first.
        names: observable -> names of its further dimensions.

    Raises:
        InputError: where programs differ in their observables, or names collide.
    """
    if any(set(shapes) != set(observed[0]) for shapes in observed):
        message = "programs have different observables: return the same names at every point"
        raise InputError(message)
    known = {n for stored in observed[0] for n in (stored, stored.removesuffix("_value"))}
    for name in names:
        if name not in known:
            raise unknown_name(kind="observable in dims", name=name, known=observed[0])
    lead = (*(d.name for d in dimensions), "seed")
    sizes = (*(d.size for d in dimensions), seeds)
    taken = {*lead, "step", *(name for d in dimensions for name in d.fields)}
    found = {}
    for name in sorted(observed[0]):
        if name in taken:
            message = f"an observable cannot be called '{name}', which is a dimension; rename it"
            raise InputError(message)
        tail, dtype = _largest(name, [shapes[name] for shapes in observed])
        further: tuple[str, ...] = ()
        if name != "first_bad_step":
            given = names.get(name, names.get(name.removesuffix("_value")))
            further = ("step", *own_dimensions(name, given, len(tail) - 1, taken))
        attributes = {"long_name": LONG_NAMES.get(name, name)}
        attributes |= {"units": "learning rate x step"} if name == "t" else {}
        found[name] = Variable((*lead, *further), (*sizes, *tail), dtype, attributes)
    check_dimensions({name: (v.dims, v.shape) for name, v in found.items()})
    return found


def coordinates_of(
    dimensions: Sequence[Dimension],
    seeds: int,
    steps: np.ndarray,
    variables: Mapping[str, Variable],
) -> dict[str, Any]:
    """Return name -> (dimension, values, attributes) of axes, seeds, steps and modes."""
    found: dict[str, Any] = {}
    for dimension in dimensions:
        for name, values in dimension.fields.items():
            found[name] = (dimension.name, _coordinate(values), {"long_name": name})
    found["seed"] = ("seed", np.arange(seeds), {"long_name": "seed index"})
    found["step"] = ("step", steps, {"long_name": "training step", "units": "steps"})
    modes = {n for v in variables.values() for n in zip(v.dims, v.shape, strict=True)}
    for name, size in modes:
        if name in ("mode", "mode_value") and name not in found:
            found[name] = (name, np.arange(1, size + 1), {"long_name": "mode, largest first"})
    return found


def _largest(name: str, shapes: Sequence[Any]) -> tuple[tuple[int, ...], np.dtype]:
    """Return the shape and dtype that fit an observable of every program."""
    tails = [s.shape for s in shapes]
    if len({len(tail) for tail in tails}) != 1:
        message = f"observable '{name}' must have the same number of axes at every point"
        raise InputError(message)
    dtype = np.result_type(*(stored_dtype(s.dtype) for s in shapes))
    if len(set(tails)) > 1 and dtype.kind not in "fc":
        dtype = np.dtype(float)
    return tuple(max(sizes) for sizes in zip(*tails, strict=True)), dtype


def _coordinate(values: Sequence[Any]) -> np.ndarray:
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return np.asarray(values)
    return np.asarray([str(v) for v in values], dtype=object)
