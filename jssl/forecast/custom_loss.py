r"""A loss of the user: its quadratic form near zero, and its final state in the limit.

Near zero, L = L_0 - 2 tr(Z^T A Z) + ..., where automatic differentiation gives A = -Hessian / 4. A
loss that treats all samples alike couples the views of one sample, and the samples through their
mean only, so that A is a pairing of views, each with or without its mean subtracted. The final
state in the limit is that of the flow of F-5 with outputs that do not affect each other.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.forecast.modes import Modes, functions_of, largest_value
from jssl.forecast.rules import RULES, Rule
from jssl.forecast.steps import Ends, LossPairings, Steps
from jssl.formulas.steps import crossing_times
from jssl.losses.registry import LOSSES
from jssl.theory.finite_width import embedding_loss, mode_flow
from jssl.theory.landscape.pairing import Pairing
from jssl.theory.stepwise import descent_delay
from jssl.types import Array

Loss = Callable[[Array, Array], Array]

_START = 1e-3
_FARTHEST = 1e6  # a loss with larger coordinates is taken to be unbounded
_POINTS = 600
_ITERATIONS = 40
_LOOKS = 8  # points of the trajectory at which the curvature is computed


def custom_rule(loss: Loss, samples: int, dim: int) -> tuple[Rule, LossPairings]:
    """Return the rule of a loss with its name, and its pairings, from its derivatives at zero.

    The views' cross-moment has the coefficient 1 in the pairing; a factor of the loss is part of
    the rule's signal, so that the final C does not depend on it.

    Example:
        >>> rule, pairings = custom_rule(lambda a, b: -2 * (a * b).sum(1).mean(), 5, 2)
        >>> rule.centred, [round(float(x), 6) for x in pairings.signal]
        (False, [0.0, 1.0, 0.0])

    Args:
        loss: `loss(za, zb) -> scalar` of two embeddings (samples, dim).
        samples: number of pairs.
        dim: number of outputs.

    Raises:
        InputError: for a loss that is not a smooth scalar at zero, that grows from zero in no
            direction, or that does not treat all samples and outputs alike.
    """
    n = samples
    product = _hessian_product(loss, n, dim)
    columns = []
    for view in range(2):
        probe = np.zeros((2, n, dim))
        probe[view, 0, 0] = 1
        columns.append(-product(probe)[..., 0] / 4)
    if not np.isfinite(columns).all():
        message = (
            "the loss has no second derivative at zero embeddings, as losses that normalise or "
            "take a square root; the forecast needs a loss that is smooth there"
        )
        raise InputError(message + _by_name(loss))
    same = [n * (column[view, 0] - column[view, 1:].mean()) for view, column in enumerate(columns)]
    across = n * (columns[0][1, 0] - columns[0][1, 1:].mean())
    pairing = Pairing(float(same[0]) + 0.0, float(2 * across), float(same[1]) + 0.0)
    probe = np.random.default_rng(0).normal(size=(2, n, dim)) + 1
    seen = -product(probe) / 4
    errors = [np.linalg.norm(_paired(probe, pairing, centred) - seen) for centred in (False, True)]
    size = np.linalg.norm(seen)
    if not size or min(errors) > max(1e-3, 3 / n) * size:
        message = (
            "the second derivative of the loss at zero embeddings vanishes, so nothing grows there"
            if not size
            else "near zero embeddings, the loss does not treat all samples and outputs alike"
        )
        message += "; the forecast does not cover such losses"
        raise InputError(message + ("" if size else _normalised(loss, probe)))
    form = np.array([[pairing.first, pairing.cross / 2], [pairing.cross / 2, pairing.second]])
    growth = np.linalg.eigvalsh(form)
    if growth[-1] <= 1e-6 * np.abs(growth).max():
        message = (
            "the loss makes nothing grow from zero embeddings, which are a minimum of it: add a "
            "term that prevents collapse, as those on the variance or the cross-correlation of "
            "the embeddings do"
        )
        raise InputError(message)
    unit = pairing.cross if pairing.cross > 0 else 1.0  # C is the cross-moment, whatever the factor
    pairing = Pairing(*(x / unit for x in pairing))
    rule = Rule("vicreg_squared", 2 * unit, unit, centred=bool(errors[1] < errors[0]))
    return rule, LossPairings(pairing, pairing, pairing, rule.centred)


def custom_ends(
    loss: Loss, gram: np.ndarray, modes: Modes, rule: Rule, pairings: LossPairings, dim: int
) -> Ends:
    """Return the final state of each mode in the limit, and the largest curvature until then.

    Raises:
        InputError: for a loss under which the embeddings grow without bound.
    """
    values = modes.values
    root = np.sqrt(values)
    both = functions_of(gram, modes.vectors, False) / root
    count = min(dim, len(values))
    growth = 2 * rule.signal * float(values[count - 1])  # of the slowest one
    times = np.append(0, np.geomspace(1e-2, 1, _POINTS)) * 3 * np.log(1 / _START) / growth
    start = _START * np.eye(len(values), dim)
    flow = mode_flow(
        embedding_loss(loss, *both), _uncoupled(values, dim), start, times, farthest=_FARTHEST
    )
    if not flow.complete:
        message = (
            "the embeddings grow without bound under this loss, or its flow cannot be integrated; "
            "the forecast needs a loss that is bounded below"
        )
        raise InputError(message)
    ends = flow.coordinates[-1]
    final = np.zeros(len(values))
    final[:count] = np.diagonal(ends)[:count] ** 2
    learned = (np.arange(len(values)) < dim) & (final > 1e2 * _START**2)
    first = max(float(final.max()), 1e-300)
    scales = np.sqrt(np.where(learned, final, first)) / root
    looks = flow.coordinates[np.linspace(0, len(flow.coordinates) - 1, _LOOKS).astype(int)]
    stacked = np.concatenate([functions_of(gram, modes.vectors, False)[v] for v in (0, 1)]) / root
    curvature = max(_curvature(loss, gram, stacked @ b) for b in looks)
    opposite = Pairing(*(-x for x in pairings.signal))
    curvature = max(curvature, 2 * rule.signal * largest_value(gram, rule.centred, opposite))
    return Ends(rule.signal * values, learned, scales, 0.0, (), curvature)


def custom_steps(
    loss: Loss,
    gram: np.ndarray,
    modes: Modes,
    initial: np.ndarray,
    ends: Ends,
    dim: int,
    rate: float,
) -> Steps:
    """Return when each mode is half-learned in the limit, from the flow of F-5."""
    values, k = modes.values, len(initial)
    both = functions_of(gram, modes.vectors, False) / np.sqrt(values)
    start = np.zeros((len(values), dim))
    start[np.arange(k), np.arange(k)] = initial * np.sqrt(values[:k])
    growth = 4 * ends.net[:k]
    least = np.where(initial > 0, initial, 1)
    last = 2.5 * np.max(2 * np.maximum(np.log(ends.scales[:k] / least), 1) / growth)
    times = np.append(0, np.geomspace(1e-3, 1, 4 * _POINTS)) * last
    flow = mode_flow(embedding_loss(loss, *both), _uncoupled(values, dim), start, times)
    diagonal = np.diagonal(flow.coordinates, axis1=1, axis2=2)[:, :k] ** 2
    level = np.where(ends.learned[:k], values[:k] * ends.scales[:k] ** 2, np.inf)
    low, half, high = (
        crossing_times(flow.times, diagonal, share * level, np) for share in (0.1, 0.5, 0.9)
    )
    half = np.where(np.isnan(half), np.inf, half)
    delay = np.asarray(descent_delay(jnp.asarray(growth / 8), rate))
    return Steps(
        half, half * delay / rate, (high - low) / rate, np.where(np.isfinite(half), 0, np.inf)
    )


def _uncoupled(values: np.ndarray, dim: int) -> np.ndarray:
    return np.einsum("ij,kl->ikjl", np.diag(values), np.eye(dim))


def _hessian_product(loss: Loss, n: int, dim: int) -> Callable[[np.ndarray], np.ndarray]:
    def whole(z: Array) -> Array:
        return loss(z[0], z[1])

    zero = jnp.zeros((2, n, dim))
    try:
        value = jax.eval_shape(whole, zero)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        message = f"loss(za, zb) fails for two embeddings ({n}, {dim}): {reason}"
        if _is_of_torch(loss) or "must be Tensor" in reason:
            message = "the loss is of PyTorch: write it in JAX, with jax.numpy"
            message += f", as loss(za, zb) of two arrays ({n}, {dim}), or pass a name"
        elif isinstance(error, jax.errors.TracerArrayConversionError):
            message = f"{message}; write it in JAX, with jax.numpy"
        raise InputError(message) from error
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape != () or dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        found = type(value).__name__ if dtype is None else f"{dtype} of shape {shape}"
        message = f"loss(za, zb) must return a floating-point scalar; it returns {found}"
        raise InputError(message)
    if jnp.finfo(dtype).bits < jnp.finfo(zero.dtype).bits:
        message = (
            f"loss(za, zb) returns {dtype} for embeddings in {zero.dtype}; compute it in the dtype "
            "of the embeddings, whose flow is integrated to more digits"
        )
        raise InputError(message)
    product = jax.jit(lambda v: jax.jvp(jax.grad(whole), (zero,), (v,))[1])
    return lambda v: np.asarray(product(jnp.asarray(v)))


def _is_of_torch(loss: Any) -> bool:
    places = (getattr(loss, "__module__", None), type(loss).__module__)
    return hasattr(loss, "state_dict") or any(str(x).split(".")[0] == "torch" for x in places)


def _normalised(loss: Loss, z: np.ndarray) -> str:
    """Return what to do if the loss does not change with the size of the embeddings."""
    once, twice = (float(loss(*jnp.asarray(size * z))) for size in (1.0, 2.0))
    if abs(once - twice) > 1e-6 * abs(once):
        return ""
    return ". A loss that normalises embeddings is not smooth at zero" + _by_name(loss)


def _by_name(loss: Any) -> str:
    """Return the advice to pass the name of a loss, with that of this one where it has one."""
    function = getattr(loss, "func", loss)
    known = [name for name in RULES if LOSSES[name].function is function]
    if not known:
        return "; for a loss that jssl knows, pass its name, such as loss='simclr'"
    return f"; pass its name, loss='{'simclr' if known == ['nt_xent'] else known[0]}'"


def _paired(v: np.ndarray, pairing: Pairing, centred: bool) -> np.ndarray:
    both = v - v.mean(1, keepdims=True) if centred else v
    half = pairing.cross / 2
    mixed = (
        pairing.first * both[0] + half * both[1],
        half * both[0] + pairing.second * both[1],
    )
    return np.stack(mixed) / v.shape[1]


def _curvature(loss: Loss, gram: np.ndarray, z: np.ndarray) -> float:
    """Return the largest eigenvalue of K times the Hessian at embeddings (2n, dim)."""
    n = len(z) // 2

    def whole(z: Array) -> Array:
        return loss(z[:n], z[n:])

    @jax.jit
    def iterate(kernel: Array, z: Array, v: Array) -> Array:
        def once(v: Array, _: Any) -> tuple[Array, Array]:
            w = kernel @ jax.jvp(jax.grad(whole), (z,), (v,))[1]
            size = jnp.linalg.norm(w)
            return w / jnp.where(size > 0, size, 1), size

        return jax.lax.scan(once, v / jnp.linalg.norm(v), length=_ITERATIONS)[1][-1]

    start = np.random.default_rng(0).normal(size=z.shape)
    return float(iterate(jnp.asarray(gram), jnp.asarray(z), jnp.asarray(gram @ start)))
