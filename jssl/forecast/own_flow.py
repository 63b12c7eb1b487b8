r"""The user's own network: the gradient flow of its parameters, followed in full.

F-5 holds the tangent kernel as it is at the start. From small weights, such as the default ones of
PyTorch, the kernel changes by more than its own size while a dimension is learned, and dimensions
after the first come much sooner. By how much depends on the path of the parameters. A stabilised
method follows the flow itself,

    d theta / dt = -grad L(theta)

in fewer gradients of all pairs than descent has steps: of the order of their square root for each
dimension. Descent at rate e grows a mode of rate g by log(1 + e g) a step, and the flow by e g, so
that descent takes half a step longer for each e-fold; the steps are corrected by that.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.forecast.exact_loss import learned_moment, training_loss
from jssl.forecast.finite import Progress, Reduction, final_levels
from jssl.forecast.networks import Networks
from jssl.forecast.steps import Ends
from jssl.forecast.torch_encoder import TorchEncoder
from jssl.forecast.torch_flow import TorchSystem
from jssl.formulas.steps import crossing_times
from jssl.kernels.gradients import in_blocks, split_params
from jssl.theory.finite_width.host_stabilised import Record, System, follow_on_host
from jssl.types import Array, Params

MOST = 20_000
"""Largest number of gradients of all pairs."""

_RISEN = 1.8  # times half of the final eigenvalue: where a dimension has risen
_AFTER = 1.3  # times the last half time: until when the rises are followed
_ROWS = 512  # rows that pass through the network at a time
_BESIDE = 1e-3  # of the norm of the parameters
_LEAST_GROWTH = 1e-4  # start of a dimension over the largest one: below it, the leak starts it


class Followed(NamedTuple):
    """Half times of the user's own network.

    Attributes:
        times: (dim,) t = learning rate x step at which each dimension is half-learned, under
            gradient flow; infinite for never, and NaN where the flow was not followed so far.
        rises: (dim,) time from 10 % to 90 %; NaN where it was not followed so far.
        folds: (dim,) e-folds by which the amplitude of each dimension grows until then.
        gradients: number of gradients of all pairs.
        reached: time until which the flow was followed.
        finite: whether its gradient was finite until then.
        curvature: largest curvature of the loss on the way to the last half time.
        path: times (points,) that were followed.
        eigenvalues: (points, dim) of C at them, descending.
    """

    times: np.ndarray
    rises: np.ndarray
    folds: np.ndarray
    gradients: int
    reached: float
    finite: bool
    curvature: float
    path: np.ndarray
    eigenvalues: np.ndarray

    def steps(self, rate: float) -> np.ndarray:
        """Return the half times in steps of gradient descent, (dim,)."""
        return self.times / rate + np.where(self.times > 0, self.folds / 2, 0)

    def curves(self, rate: float, step: int) -> dict[str, np.ndarray]:
        """Return the eigenvalues over the steps of gradient descent, from step `step` on."""
        first = self.times[0] if np.isfinite(self.times[0]) and self.times[0] > 0 else np.inf
        late = self.folds[0] / 2 * np.minimum(self.path / first, 1)
        return {"steps": step + self.path / rate + late, "eigenvalues": self.eigenvalues}


def follow_network(
    networks: Networks,
    reduction: Reduction,
    ends: Ends,
    last: float,
    scale: float,
    progress: Progress | None = None,
) -> Followed:
    """Return the half times of the user's network.

    Args:
        networks: the one network, of JAX or PyTorch.
        reduction: modes and loss, of fixed pairs.
        ends: final state in the limit, which gives the levels.
        last: time t = learning rate x step until which to follow.
        scale: factor of the initial embeddings.
        progress: called with a description and the share that is done.
    """
    modes = reduction.modes
    loss = training_loss(reduction.rule, reduction.loss)
    weights = modes.vectors * np.sqrt(modes.values)
    views, n = reduction.views, len(reduction.views) // 2
    if isinstance(networks.apply, TorchEncoder):
        system: Any = TorchSystem(networks.apply, views, loss, weights, scale)
    else:
        system = _JaxSystem(networks.apply, networks.params[0], views, loss, weights, scale)
    eigenvalues: list[np.ndarray] = []

    def record() -> np.ndarray:
        z = system.embedded
        values = np.linalg.eigvalsh(learned_moment(z[:n], z[n:], reduction))[::-1]
        eigenvalues.append(values)
        return values

    levels = final_levels(modes.values, ends)[: system.dim]
    half_at = np.full(len(levels), np.inf)

    def ended(time: float, y: np.ndarray) -> bool:
        del y  # C is that of the embeddings themselves
        values = record()[: len(levels)]
        half_at[values >= levels] = np.minimum(half_at, time)[values >= levels]
        if progress is not None:
            reached = np.isfinite(half_at).sum() / max(len(levels), 1)
            progress("following the gradient flow of the network", 0.95 * reached)
        risen = values >= _RISEN * levels
        return bool((risen | (time >= _AFTER * half_at.max())).all())

    system.observe(np.zeros(system.size))
    record()
    followed = follow_on_host(system, last, ended, most=MOST)
    return _half_times(followed, np.array(eigenvalues), levels)


def _half_times(record: Record, values: np.ndarray, levels: np.ndarray) -> Followed:
    """Return the half times of eigenvalues (steps, dim), interpolated on a logarithmic scale."""
    k, dim = len(levels), values.shape[1]
    logs = np.log(np.maximum(values[:, :k], 1e-300))
    low, half, high = (
        crossing_times(record.times, logs, np.log(share * levels), np) for share in (0.2, 1, _RISEN)
    )
    largest = float(np.linalg.norm(record.coordinates[0], 2)) ** 2
    first = np.maximum(values[0, :k], _LEAST_GROWTH * max(largest, 1e-300))
    ended = record.complete or not record.finite
    learned, missing = np.isfinite(levels), np.inf if ended else np.nan
    times, rises, folds = np.full(dim, np.inf), np.full(dim, np.nan), np.zeros(dim)
    times[:k] = np.where(learned, np.where(np.isnan(half), missing, half), np.inf)
    rises[:k] = high - low
    folds[:k] = np.log(np.maximum(np.where(learned, levels, 0) / first, 1)) / 2
    until = record.times <= np.max(times[np.isfinite(times)], initial=-np.inf)
    curvature = record.rates[until if until.any() else slice(None)].max()
    reached = float(record.times[-1])
    facts = record.slopes, reached, record.finite, float(curvature)
    return Followed(times, rises, folds, *facts, record.times, values)


class _JaxSystem(System):
    """The gradient flow of a function of JAX; the state is the change of its parameters."""

    def __init__(
        self,
        apply: Callable[[Params, Array], Array],
        params: Params,
        views: np.ndarray,
        loss: Callable[[Array, Array], Array],
        weights: np.ndarray,
        scale: float,
    ) -> None:
        leaves, merge = split_params(params)
        sizes = np.cumsum([leaf.size for leaf in leaves])
        self.size = int(sizes[-1])
        self.beside = _BESIDE * float(np.sqrt(sum(float(jnp.vdot(x, x)) for x in leaves)))
        n, shape = len(views) // 2, [leaf.shape for leaf in leaves]
        rows, coefficients = _in_blocks(jnp.asarray(views)), jnp.asarray(weights)

        def moved_params(change: Array, leaves: list[Array]) -> Params:
            parts = jnp.split(change, sizes[:-1])
            added = zip(leaves, parts, shape, strict=True)
            return merge([a + p.reshape(s).astype(a.dtype) for a, p, s in added])

        def embed(change: Array, leaves: list[Array], rows: Array) -> Array:
            moved = moved_params(change, leaves)
            if len(rows) == 1:
                z = apply(moved, rows[0])
            else:
                one = jax.checkpoint(lambda x: apply(moved, x))
                z = jax.lax.map(one, rows)
            return z.reshape(-1, z.shape[-1])[: 2 * n].astype(float)

        def value(change: Array, leaves: list[Array], rows: Array, base: Array) -> Array:
            z = embed(change, leaves, rows) - base
            return loss(z[:n], z[n:])

        @jax.jit
        def coordinates(change: Array, step: Array, *fixed: Any) -> Array:
            _, moved = jax.jvp(lambda c: embed(c, *fixed), (change,), (step,))
            return coefficients.T @ moved

        self._embed, self._gradient, self._moved = (
            jax.jit(embed),
            jax.jit(jax.grad(value)),
            coordinates,
        )
        self._fixed = (leaves, rows)
        self._base = (1 - scale) * np.asarray(self._embed(np.zeros(self.size), *self._fixed))
        self._weights = weights
        self.dim = self._base.shape[1]
        self.embedded = self._base

    def slope(self, b: np.ndarray) -> np.ndarray:
        return -np.asarray(self._gradient(b, *self._fixed, self._base))

    def observe(self, b: np.ndarray) -> np.ndarray:
        self.embedded = np.asarray(self._embed(b, *self._fixed)) - self._base
        return self._weights.T @ self.embedded

    def moved(self, b: np.ndarray, change: np.ndarray) -> np.ndarray:
        return np.asarray(self._moved(b, change, *self._fixed))


def _in_blocks(views: Array) -> Array:
    """Return blocks of rows (blocks, rows, ...); the rows that fill up are cut off later."""
    return in_blocks(views, min(_ROWS, len(views)))
