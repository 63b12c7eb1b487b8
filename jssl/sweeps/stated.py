"""A problem stated by names: what `[problem]` and `[axes]` of a study fill in."""

import contextlib
import functools
import inspect
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
from jssl.data.checks import host_value
from jssl.errors import InputError, unknown_name
from jssl.optim import gradient_descent
from jssl.types import Array, Problem

OPTIMISERS: dict[str, Callable[..., Any]] = {
    "adam": optax.adam,
    "adamw": optax.adamw,
    "gradient_descent": gradient_descent,
    "momentum": functools.partial(optax.sgd, momentum=0.9),
}
"""Name -> factory(learning_rate, ...) of the optimisers a study may name."""


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
    return jnp.asarray(_images(data, samples, data_seed, _written(data)), jnp.result_type(float))


@functools.lru_cache(maxsize=4)
def _images(data: str, samples: int, data_seed: int, written: Any) -> np.ndarray:
    del written  # part of the cache's key: a file may change between two sweeps
    with jax.ensure_compile_time_eval():
        chosen = images.subset(jax.random.key(data_seed), images.load(data), samples)
    return np.asarray(chosen.x)


def _written(data: str) -> tuple[int, int] | None:
    """Return when a file of images was written and its size; None for data sets with a name."""
    path = Path(data)
    if not path.is_file():
        return None
    found = path.stat()
    return found.st_mtime_ns, found.st_size
