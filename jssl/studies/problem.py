"""A problem given by names: `[problem]` and `[axes]` of a study are its arguments."""

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jssl import losses, models
from jssl.data import images, pairs, toy
from jssl.data import views as catalogue
from jssl.data.checks import require_count
from jssl.errors import InputError, unknown_name
from jssl.host_arithmetic import host_value
from jssl.memory import require_memory
from jssl.optim import gradient_descent
from jssl.types import Array, Problem

OPTIMISERS: dict[str, Callable[..., Any]] = {
    "adam": optax.adam,
    "adamw": optax.adamw,
    "gradient_descent": gradient_descent,
    "momentum": functools.partial(optax.sgd, momentum=0.9),
}
"""Name -> factory(learning_rate, ...) of the optimisers of a study."""

IMAGE_MODELS = ("conv", "resnet")
NOT_OPTIONS = frozenset(
    {
        "accumulator_dtype",
        "dtype",
        "key",
        "mask",
        "mu_dtype",
        "predictor",
        "rows",  # the embedding's dimension, which every model has as dim
        "targets",
    }
)
"""Arguments that a study cannot give: functions, arrays, dtypes."""


def named_problem(
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
    """Return a problem from names of its data, model, loss and optimiser.

    Example:
        >>> problem = named_problem(data="gaussian", samples=8, features=4, noise=0.1, width=16)
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
            first of them that has it.

    Raises:
        InputError: for an unknown name.
    """
    if model not in models.MODELS:
        raise unknown_name(kind="model", name=model, known=models.MODELS)
    if optimiser not in OPTIMISERS:
        raise unknown_name(kind="optimiser", name=optimiser, known=OPTIMISERS)
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
    own, of_loss, of_rule = _divided(options, model, loss, optimiser)
    if max_width is not None:
        if "max_width" not in options_of(model):
            message = f"the width of '{model}' cannot be padded"
            raise InputError(message)
        own["max_width"] = max_width
    if model in IMAGE_MODELS and x.ndim != 4:
        message = f"model '{model}' takes images; choose other data than '{data}'"
        raise InputError(message)
    if model == "resnet" and isinstance(own.get("blocks", ()), int):
        message = (
            "blocks of a ResNet is a list with the number of blocks in each stage, such as [2, 2]; "
            f"got {own['blocks']}"
        )
        raise InputError(message)
    size: Any = x.shape[1:] if model in IMAGE_MODELS else math.prod(x.shape[1:])
    encoder = models.get(model, size, dim, **own)
    if model == "one_layer":  # the one model that does not flatten images itself
        encoder = encoder._replace(apply=_of_rows(encoder.apply))
    return Problem(
        pairs=sampler,
        model=encoder,
        loss=losses.get(loss, **of_loss),
        optimiser=OPTIMISERS[optimiser](learning_rate, **of_rule),
    )


def options_of(name: str) -> list[str]:
    """Return the options that a study may give to a model, a loss or an optimiser.

    Example:
        >>> options_of("linear")
        ['scale', 'bias']

    Only numbers, flags, names and lists of these are options; functions, arrays and dtypes are not.
    """
    if name in models.MODELS:
        function: Any = models.resnet_with_stages if name == "resnet" else models.MODELS[name]
    else:
        function = OPTIMISERS[name] if name in OPTIMISERS else losses.get(name)
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    given = inspect.signature(function).parameters.values()
    found = [p.name for p in given if p.kind in kinds and p.default is not inspect.Parameter.empty]
    return [n for n in found if n not in NOT_OPTIONS]


def _divided(options: Mapping[str, Any], *names: str) -> list[dict[str, Any]]:
    """Return the options of each model, loss and optimiser; the first that has one gets it."""
    known = [options_of(name) for name in names]
    found: list[dict[str, Any]] = [{} for _ in names]
    for option, value in options.items():
        owner = next((i for i, these in enumerate(known) if option in these), None)
        if owner is None:
            fields = [n for n in inspect.signature(named_problem).parameters if n != "options"]
            every = {*fields, *(n for these in known for n in these)} - {"max_width"}
            raise unknown_name(kind="field", name=option, known=every)
        found[owner][option] = value
    return found


def _of_rows(apply: Callable[..., Array]) -> Callable[..., Array]:
    return lambda params, x: apply(params, x.reshape(len(x), -1))


def _samples(data: str, samples: int, features: int, decay: Any, data_seed: int) -> Array:
    if data == "gaussian":
        what = f"data of {samples:,} samples with {features:,} features"
        copies = 5  # drawn, coloured, and two views of it
        needed = copies * samples * features * jnp.result_type(float).itemsize
        require_memory(what, needed, "take fewer samples or features")
        spectrum = jnp.arange(1, features + 1, dtype=jnp.result_type(float)) ** -decay
        return toy.gaussian(jax.random.key(data_seed), samples, spectrum)
    return jnp.asarray(_images(data, samples, data_seed, _version(data)), jnp.result_type(float))


@functools.lru_cache(maxsize=4)
def _images(data: str, samples: int, data_seed: int, version: Any) -> np.ndarray:
    del version  # part of the cache's key: a file may change between two sweeps
    with jax.ensure_compile_time_eval():
        loaded = images.load(data)
        require_count("samples", samples, high=len(loaded.x))
        chosen = images.subset(jax.random.key(data_seed), loaded, samples)
    return np.asarray(chosen.x)


def _version(data: str) -> tuple[int, int] | None:
    """Return the time and size of a file of images; None for data sets with a name."""
    path = Path(data)
    if not path.is_file():
        return None
    found = path.stat()
    return found.st_mtime_ns, found.st_size
