"""A study in a file: the arguments of `jssl.sweep` as TOML.

store = "runs/width-study"        # folder of the result
steps = 2000                      # the last step
record = 20                       # log-spaced record points, or a list of steps
seed = 0                          # root seed
precision = "float32"             # or "float64" (on the CPU)
shard = "seed"                    # or "batch": split every batch over the devices
zip = [["width", "learning_rate"]]     # axes that run together
static = []                       # floats that the problem needs as Python numbers

[problem]                         # what every point shares: `make = "module:function"` with
data = "digits"                   # its fixed arguments, or the fields of `stated_problem`
model = "mlp"

[axes]                            # field -> values; seed is a number of seeds
width = [32, 64, 128]
learning_rate = [0.03, 0.1]
seed = 64

[[points]]                        # explicit points, if wanted
[layout]                          # chunk_seconds, seed_block, segment, memory, if wanted
[until]                           # observable, half_width, relative, level, least: seeds are
                                  # added until its interval is tight; axes.seed is the most
"""

import contextlib
import functools
import importlib
import inspect
import os
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jssl import losses, models
from jssl.data import images, pairs, toy
from jssl.data import views as catalogue
from jssl.data.checks import host_value
from jssl.errors import InputError, unknown_name
from jssl.optim import gradient_descent
from jssl.simulation import log_spaced_steps
from jssl.sweeps.adaptive import Target, in_blocks
from jssl.sweeps.prepare import Request
from jssl.sweeps.sweep import make_request
from jssl.types import Array, Problem

OPTIMISERS: dict[str, Callable[..., Any]] = {
    "adam": optax.adam,
    "adamw": optax.adamw,
    "gradient_descent": gradient_descent,
    "momentum": functools.partial(optax.sgd, momentum=0.9),
}
"""Name -> factory(learning_rate, ...) of the optimisers a study may name."""

TOP = [
    "axes",
    "layout",
    "points",
    "precision",
    "problem",
    "record",
    "seed",
    "shard",
    "static",
    "steps",
    "store",
    "until",
    "zip",
]


class Study(NamedTuple):
    """What a file asks for.

    Attributes:
        request: the arguments of the sweep.
        store: folder of the result.
        precision: "float32" or "float64".
        until: when a point has enough seeds, or None for all of them.
    """

    request: Request
    store: str
    precision: str
    until: Target | None


def read_study(path: str | os.PathLike[str]) -> Study:
    """Read a study.

    Args:
        path: of the TOML file; the keys are in this module's docstring.

    Raises:
        InputError: for a file that is not there, malformed TOML (with line and column), an
            unknown key or a value of another type.
    """
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        message = f"cannot read '{path}' ({(error.strerror or 'unreadable').lower()})"
        raise InputError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"'{path}' is not valid TOML: {error}"
        raise InputError(message) from error
    for key in data:
        if key not in TOP:
            raise unknown_name(kind=f"key of '{path}'", name=key, known=TOP)
    for key, kind in (
        ("problem", dict), ("axes", dict), ("layout", dict), ("until", dict), ("points", list),
        ("store", str), ("zip", list), ("static", list),
    ):  # fmt: skip
        if not isinstance(data.get(key, kind()), kind):
            message = f"'{path}': {key} must be a {_WORDS[kind]}; got {data[key]!r}"
            raise InputError(message)
    if not data.get("store"):
        message = f"'{path}' names no store: add a line such as store = \"runs/study\""
        raise InputError(message)
    precision = data.get("precision", "float32")
    if precision not in ("float32", "float64"):
        raise unknown_name(kind="precision", name=precision, known=("float32", "float64"))
    until, layout = _target(data.get("until")), data.get("layout", {})
    request = make_request(
        _make_problem(dict(data.get("problem", {})), Path(path).parent),
        data.get("axes", {}),
        _record_steps(path, data),
        seed=data.get("seed", 0),
        points=data.get("points"),
        zip=data.get("zip", ()),
        static=tuple(data.get("static", ())),
        shard=data.get("shard", "seed"),
        **(layout if until is None else in_blocks(until, layout)),
    )
    return Study(request, data["store"], precision, until)


def _target(until: Mapping[str, Any] | None) -> Target | None:
    if until is None:
        return None
    for name in until:
        if name not in Target._fields:
            raise unknown_name(kind="key of [until]", name=name, known=Target._fields)
    if "observable" not in until:
        message = "[until] needs observable, the name of what is measured"
        raise InputError(message)
    return Target(**until)


def stated_problem(
    *,
    data: str = "digits",
    samples: int = 500,
    features: int = 64,
    decay: Any = 1.0,
    views: str = "identity",
    noise: Any = None,
    batch: int | None = None,
    fresh: bool = False,
    data_seed: int = 0,
    model: str = "mlp",
    dim: int = 8,
    loss: str = "barlow_twins",
    optimiser: str = "gradient_descent",
    learning_rate: Any = 0.01,
    max_width: int | None = None,
    **options: Any,
) -> Problem:
    """State a problem by names: what `[problem]` and `[axes]` of a study fill in.

    Example:
        >>> problem = stated_problem(data="gaussian", samples=8, features=4, noise=0.1, width=16)
        >>> problem.pairs(jax.random.key(0)).first.shape
        (8, 4)

    Args:
        data: "gaussian", or images by name or path (`jssl.data.images.load`).
        samples: how many.
        features: of Gaussian data.
        decay: variance j of Gaussian data is j^-decay; may be traced.
        views: image views such as "shift=1, flip" (`jssl.data.views.named`).
        noise: standard deviation of noise added to every view, after them; may be traced.
        batch: samples a step; None for all.
        fresh: whether every step draws new views; else one fixed set of pairs.
        data_seed: of the samples and of a fixed set of views.
        model: a name in `jssl.models.MODELS`.
        dim: of the embedding.
        loss: a name in `jssl.losses`.
        optimiser: a name in `OPTIMISERS`.
        learning_rate: may be traced.
        max_width: set by the plan where widths are padded.
        **options: keyword arguments of the model, the loss or the optimiser, each given to the
            first of them that knows it.

    Raises:
        InputError: for an unknown name.
    """
    known = host_value(decay) is not None and (noise is None or host_value(noise) is not None)
    with jax.ensure_compile_time_eval() if known else contextlib.nullcontext():
        x = _samples(data, samples, features, decay, data_seed)
        chain = [catalogue.named(views)]
        if noise is not None:
            chain.append(catalogue.noise(noise))
        view = catalogue.compose(*chain)
        if fresh or batch is not None:
            sampler = pairs.fresh(x, view, batch)
        else:
            draw = jax.random.key(data_seed)
            sampler = pairs.fixed(jax.jit(pairs.make_pairs, static_argnums=2)(draw, x, view))
    if model not in models.MODELS:
        raise unknown_name(kind="model", name=model, known=models.MODELS)
    if optimiser not in OPTIMISERS:
        raise unknown_name(kind="optimiser", name=optimiser, known=OPTIMISERS)
    own, rest = _divide(options, models.MODELS[model])
    chosen = losses.get(loss)
    of_loss, rest = _divide(rest, chosen)
    of_rule, rest = _divide(rest, OPTIMISERS[optimiser])
    if rest:
        factories = (stated_problem, models.MODELS[model], chosen, OPTIMISERS[optimiser])
        names = {name for factory in factories for name in _keywords(factory)}
        raise unknown_name(kind="field", name=next(iter(rest)), known=names - {"max_width"})
    if max_width is not None:
        if "max_width" not in _keywords(models.MODELS[model]):
            message = f"the width of '{model}' cannot be padding"
            raise InputError(message)
        own["max_width"] = max_width
    shape = x.shape[1:] if model == "conv" else (int(np.prod(x.shape[1:])),)
    size: Any = shape if model == "conv" else shape[0]
    return Problem(
        pairs=sampler,
        model=models.get(model, size, dim, **own),
        loss=losses.get(loss, **of_loss),
        optimiser=OPTIMISERS[optimiser](learning_rate, **of_rule),
    )


_WORDS = {dict: "table", list: "list", str: "string"}


def _make_problem(fields: dict[str, Any], folder: Path) -> Callable[..., Any]:
    """Return the problem of `[problem]` with its fixed fields filled in."""
    place = fields.pop("make", None)
    make = stated_problem if place is None else _import(place, folder)
    parameters = inspect.signature(make).parameters
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        for name in fields:
            if name not in parameters:
                raise unknown_name(kind="field of [problem]", name=name, known=parameters)
    return functools.partial(make, **fields) if fields else make


def _import(place: Any, folder: Path) -> Callable[..., Any]:
    module, colon, name = str(place).partition(":")
    if not colon:
        message = f"problem.make must be 'module:function'; got {place!r}"
        raise InputError(message)
    sys.path.insert(0, str(folder.resolve()))
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        message = f"cannot import problem.make = '{place}' ({error})"
        raise InputError(message) from error
    finally:
        sys.path.remove(str(folder.resolve()))
    return found


def _record_steps(path: Any, data: Mapping[str, Any]) -> Any:
    record, steps = data.get("record", 20), data.get("steps")
    if isinstance(record, list):
        return record
    if isinstance(steps, int) and steps >= 1 and isinstance(record, int) and record >= 2:
        return log_spaced_steps(steps, record)
    message = (
        f"'{path}' needs steps, the last step, with record, a number of points of at least 2; or "
        f"record, a list of steps; got {steps=}, {record=}"
    )
    raise InputError(message)


def _keywords(function: Callable[..., Any]) -> list[str]:
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = inspect.signature(function).parameters.values()
    return [p.name for p in found if p.kind in kinds and p.default is not inspect.Parameter.empty]


def _divide(
    options: Mapping[str, Any], function: Callable[..., Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    known = _keywords(function)
    taken = {name: value for name, value in options.items() if name in known}
    return taken, {name: value for name, value in options.items() if name not in known}


def _samples(data: str, samples: int, features: int, decay: Any, data_seed: int) -> Array:
    if data == "gaussian":
        spectrum = jnp.arange(1, features + 1, dtype=jnp.result_type(float)) ** -decay
        return toy.gaussian(jax.random.key(data_seed), samples, spectrum)
    return jnp.asarray(_images(data, samples, data_seed), jnp.result_type(float))


@functools.lru_cache(maxsize=4)
def _images(data: str, samples: int, data_seed: int) -> np.ndarray:
    with jax.ensure_compile_time_eval():
        chosen = images.subset(jax.random.key(data_seed), images.load(data), samples)
    return np.asarray(chosen.x)
