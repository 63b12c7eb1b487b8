"""Self-supervised and supervised training of thousands of seeds at once.

The key of a seed determines its data, initial weights and noise. Its result does not depend on the
number of seeds that run with it. Seeds run in chunks that fit in cache, one chunk per core: on one
CPU device, programs called from different threads run in parallel.

References:
    Yang, Li, Jiang, Li, arXiv 2401.03214. Learning rates are on the mean loss.
"""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.draws import normals
from jssl.devices import cores
from jssl.losses.learnability import decayed_cross_entropy
from jssl.models.activations import activation as named
from jssl.papers.learnability.reduced import reduced_gradient
from jssl.papers.learnability.seeds import Design, Numbers, Seeds, check, draw
from jssl.single_use import compile_for_many_steps
from jssl.theory.learnability import expected_loss
from jssl.types import Array

CHUNK = 32  # seeds that run together, so that their arrays fit in cache


def self_supervised(
    keys: Array,
    points: Any,
    design: Design = Design(),  # noqa: B008 - an immutable tuple
    numbers: Numbers = Numbers(),  # noqa: B008
    *,
    replica: int = 0,
    dtype: Any = jnp.float32,
) -> np.ndarray:
    """Return W of every seed at the given steps of gradient descent on the self-supervised loss.

    Example:
        >>> import jax
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> self_supervised(keys, [0, 50]).shape
        (3, 2, 2, 10)

    Args:
        keys: (seeds,) typed keys.
        points: (points,) ascending steps at which W is recorded.
        design: static choices.
        numbers: scalars, or (seeds,) arrays.
        replica: runs that differ in this number have the same data and start and other view noise.
        dtype: of the run, float32 or float64.

    Returns:
        (seeds, points, m, d) weights.

    Raises:
        InputError: for an invalid size or range.
    """
    return _run(_self_supervised, keys, points, design, numbers, replica, dtype)


def supervised(
    keys: Array,
    points: Any,
    design: Design = Design(),  # noqa: B008
    numbers: Numbers = Numbers(),  # noqa: B008
    *,
    dtype: Any = jnp.float32,
) -> np.ndarray:
    """Return W of every seed at the given steps of gradient descent on the supervised loss.

    Example:
        >>> import jax
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> supervised(keys, [0, 50]).shape
        (3, 2, 2, 10)

    A step updates W first, and then the head with the new W. The data of a key are those of
    `self_supervised`, and there is no view noise.

    Args:
        keys: (seeds,) typed keys.
        points: (points,) ascending steps at which W is recorded.
        design: static choices; `step` and `correlation` are not used.
        numbers: scalars, or (seeds,) arrays; `view_noise` is not used.
        dtype: of the run, float32 or float64.

    Returns:
        (seeds, points, m, d) weights, without the head.

    Raises:
        InputError: for an invalid size or range.
    """
    return _run(_supervised, keys, points, design, numbers, 0, dtype)


def step_gradient(design: Design, numbers: Numbers, x: Array) -> Callable[[Array, Array], Array]:
    """Return `gradient(weight, key)` of a self-supervised step."""
    act = named(design.activation).function

    def reduced(weight: Array, key: Array) -> Array:
        return reduced_gradient(
            weight,
            x,
            key,
            noise=numbers.view_noise,
            decay=numbers.decay,
            activation=act,
            correlation=design.correlation,
        )

    def mean(weight: Array, _: Array) -> Array:
        def objective(row: Array) -> Array:
            return expected_loss(
                row,
                x,
                noise=numbers.view_noise,
                decay=numbers.decay,
                activation=design.activation,
            )

        return jax.vmap(jax.grad(objective))(weight)

    def linear(weight: Array, key: Array) -> Array:
        draws = normals(key, 2 * x.size, x.dtype).reshape(2, *x.shape)
        first, second = x + numbers.view_noise * draws
        moment = (first.T @ second + second.T @ first) / (2 * len(x))
        return 2 * (weight @ weight.T @ weight - weight @ moment)

    return {"reduced": reduced, "mean": mean, "linear": linear}[design.step]


class Seed(NamedTuple):
    """One traced seed: its start and the key of its view noise, into which step k is folded."""

    start: Seeds
    noise_key: Array


def _self_supervised(seed: Seed, numbers: Numbers, points: Array, design: Design) -> Array:
    gradient = step_gradient(design, numbers, seed.start.x)

    def step(k: Array, weight: Array) -> Array:
        return weight - numbers.rate * gradient(weight, jax.random.fold_in(seed.noise_key, k))

    return _keep(step, seed.start.weight, points)


def _supervised(seed: Seed, numbers: Numbers, points: Array, design: Design) -> Array:
    act = named(design.activation).function

    def objective(weight: Array, head: Array) -> Array:
        logits = act(seed.start.x @ weight.T) @ head
        return decayed_cross_entropy(logits, seed.start.label, weight, head, decay=numbers.decay)

    def step(_: Array, params: tuple[Array, Array]) -> tuple[Array, Array]:
        weight, head = params
        weight = weight - numbers.rate * jax.grad(objective)(weight, head)
        return weight, head - numbers.rate * jax.grad(objective, 1)(weight, head)

    return _keep(step, (seed.start.weight, seed.start.head), points)[0]


def _keep(step: Callable[[Array, Any], Any], start: Any, points: Array) -> Any:
    """Return the parameters after each of the given numbers of steps, stacked."""

    def stretch(params: Any, ends: Array) -> tuple[Any, Any]:
        params = jax.lax.fori_loop(ends[0], ends[1], step, params)
        return params, params

    before = jnp.concatenate([jnp.zeros_like(points[:1]), points[:-1]])
    return jax.lax.scan(stretch, start, jnp.stack([before, points], 1))[1]


@functools.partial(compile_for_many_steps, static_argnames=("one", "design", "kind"))
def _descend(
    one: Callable[..., Array],
    starts: Seeds,
    bits: Array,
    numbers: Numbers,
    points: Array,
    replica: int,
    design: Design,
    kind: str,
) -> Array:
    def run(start: Seeds, bits: Array, own: Numbers) -> Array:
        key = jax.random.fold_in(jax.random.wrap_key_data(bits, impl=kind), replica)
        return one(Seed(start, key), own, points, design)

    return jax.vmap(run)(starts, bits, numbers)


def _run(
    one: Callable[..., Array],
    keys: Array,
    points: Any,
    design: Design,
    numbers: Numbers,
    replica: int,
    dtype: Any,
) -> np.ndarray:
    check(design, numbers, points)
    side_by_side = cores()
    size = min(CHUNK, -(-len(keys) // side_by_side))
    index = np.minimum(np.arange(-(-len(keys) // size) * size), len(keys) - 1)
    start = Seeds(*(np.asarray(leaf, dtype)[index] for leaf in draw(keys, design, numbers)))
    own = Numbers(*(np.asarray(np.broadcast_to(v, len(keys))[index], dtype) for v in numbers))
    bits = np.asarray(jax.random.key_data(keys))[index]
    # Placed on the device here, because the precision setting is local to each thread.
    shared = jax.device_put((np.asarray(points, np.int32), np.int32(replica)))
    chunks = [
        jax.device_put(jax.tree.map(lambda leaf, k=k: leaf[k : k + size], (start, bits, own)))
        for k in range(0, len(index), size)
    ]
    # Start and data are drawn already, so one program serves all of them.
    run = {
        "design": design._replace(start="sign", data="drawn"),
        "kind": str(jax.random.key_impl(keys)),
    }
    with jax.default_matmul_precision("highest"):
        compiled = _descend.lower(one, *chunks[0], *shared, **run).compile()
    with ThreadPoolExecutor(side_by_side) as pool:
        ends = pool.map(lambda chunk: np.asarray(compiled(*chunk, *shared)), chunks)
    return np.concatenate(list(ends))[: len(keys)]
