"""How much faster is the closed form of stepwise learning than computing the same curves?

    python -m benchmarks.closed_form                # start 1e-6; half a minute
    python -m benchmarks.closed_form --size quick   # start 1e-3, fewer steps; seconds

500 pairs of 8x8 digits by one-pixel shifts, a linear encoder of ten dimensions from a small generic
start, float64: the ten eigenvalues of C = W Gamma W^T and the loss at 1,000 times, up to the end of
the tenth step. Every contestant starts from Gamma and W(0), eigendecompositions included and
compilation left out. Peers:

    descent     W <- W - 4 lr (W Gamma W^T - I) W Gamma, lr = .005 / gamma_1, one compiled program
    eigenbasis  the same in the eigenbasis of Gamma, where a product with Gamma is a scaling
    dop853      scipy's Dormand-Prince 8(5,3) for the flow, at the loosest power of ten of its
                tolerance that is as accurate as the closed form is for this start
    dop853+     the same in the eigenbasis of Gamma

Accuracy is the largest error of an eigenvalue of C at any of the times against the flow integrated
at a tolerance of 1e-12; that of descent is the error of its finite steps.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from scipy.integrate import solve_ivp

from benchmarks import harness
from jssl.data.images import digits, subset
from jssl.data.pairs import cross_moment, make_pairs
from jssl.data.views import shift
from jssl.precision import float64
from jssl.theory.stepwise import (
    align,
    half_time,
    loss_staircase,
    mode_eigenvalues,
    modes,
    rise_time,
)
from jssl.types import Array

DIM, PAIRS, POINTS = 10, 500, 1_000

Curves = tuple[Any, Any]


class Case(NamedTuple):
    """What every contestant is given; `every` steps of descent lie between two times."""

    gamma: Array
    start: Array
    times: Array
    learning_rate: float
    every: int


def make_case(scale: float) -> Case:
    """Return the digits case, its times ending two rises after the last half time."""
    image_key, view_key, start_key = jax.random.split(jax.random.key(0), 3)
    images = jnp.asarray(subset(image_key, digits(), PAIRS).x, jnp.float64)
    gamma = cross_moment(make_pairs(view_key, images, shift(1)))
    start = scale * jax.random.normal(start_key, (DIM, len(gamma)))
    top = modes(gamma, DIM)
    scales = align(start, top).start_scales
    end = (half_time(scales, top.eigenvalues) + 2 * rise_time(top.eigenvalues)).max()
    learning_rate = 0.005 / float(top.eigenvalues[0])
    every = int(jnp.ceil(end / learning_rate / POINTS))
    times = learning_rate * every * jnp.arange(1, POINTS + 1)
    return Case(gamma, start, times, learning_rate, every)


@jax.jit
def closed_form(gamma: Array, start: Array, times: Array) -> Curves:
    """Return the eigenvalues (points, dim) and the loss (points,)."""
    top = modes(gamma, DIM)
    scales = align(start, top).start_scales
    return (
        mode_eigenvalues(times, scales, top.eigenvalues),
        loss_staircase(times, scales, top.eigenvalues),
    )


@partial(jax.jit, static_argnames=("every", "eigenbasis"))
def descent(
    gamma: Array, start: Array, learning_rate: float, *, every: int, eigenbasis: bool
) -> Curves:
    """Return the same curves by gradient descent."""
    weight = start
    if eigenbasis:
        eigenvalues, vectors = jnp.linalg.eigh(gamma)
        weight = start @ vectors

    def times_gamma(w: Array) -> Array:
        return w * eigenvalues if eigenbasis else w @ gamma

    def step(_: int, w: Array) -> Array:
        moved = times_gamma(w)
        return w - 4 * learning_rate * ((moved @ w.T) @ moved - moved)

    def record(w: Array, _: None) -> Curves:
        w = jax.lax.fori_loop(0, every, step, w)
        return w, times_gamma(w) @ w.T

    return _curves(jax.lax.scan(record, weight, length=POINTS)[1])


def integrator(
    gamma: np.ndarray, start: np.ndarray, times: np.ndarray, *, rtol: float, eigenbasis: bool
) -> Curves:
    """Return the same curves by adaptive integration of the flow."""
    weight, vectors = start, None
    if eigenbasis:
        gamma, vectors = np.linalg.eigh(gamma)
        weight = start @ vectors
    product: Callable[[np.ndarray, np.ndarray], np.ndarray]
    product = np.multiply if eigenbasis else np.matmul

    def velocity(_: float, flat: np.ndarray) -> np.ndarray:
        w = flat.reshape(start.shape)
        moved = product(w, gamma)
        return (4 * (moved - (moved @ w.T) @ moved)).ravel()

    atol = rtol * float(np.abs(start).max())
    solved = solve_ivp(
        velocity, (0, times[-1]), weight.ravel(), "DOP853", times, rtol=rtol, atol=atol
    )
    path = solved.y.T.reshape(len(times), *start.shape)
    c = product(path, gamma) @ np.swapaxes(path, 1, 2)
    return np.linalg.eigvalsh(c)[:, ::-1], ((c - np.eye(DIM)) ** 2).sum((1, 2))


def _curves(c: Array) -> Curves:
    return jnp.linalg.eigvalsh(c)[:, ::-1], ((c - jnp.eye(DIM)) ** 2).sum((1, 2))


def compare(case: Case, repeats: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Time all contestants on one case; return table rows and facts."""
    gamma, start, times = (np.asarray(array) for array in case[:3])
    flow = partial(integrator, gamma, start, times)
    exact = flow(rtol=1e-12, eigenbasis=True)[0]

    def error(curves: Curves) -> float:
        return float(np.abs(np.asarray(curves[0]) - exact).max())

    ours = partial(closed_form, *case[:3])
    reached = error(ours())
    steps = partial(descent, case.gamma, case.start, case.learning_rate, every=case.every)
    contestants: dict[str, Callable[[], Curves]] = {
        "jssl": ours,
        "descent": partial(steps, eigenbasis=False),
        "eigenbasis": partial(steps, eigenbasis=True),
    }
    for name, eigenbasis in (("dop853", False), ("dop853+", True)):
        contestants[name] = _loosest(partial(flow, eigenbasis=eigenbasis), error, reached)
    errors = {name: error(function()) for name, function in contestants.items()}
    timings = harness.measure(contestants, repeats=repeats)
    rows = [
        {
            "method": name,
            "seconds": timing.median,
            "spread": timing.spread,
            "largest error of an eigenvalue": errors[name],
        }
        for name, timing in timings.items()
    ]
    faster = harness.ratios(timings, "jssl")
    facts = {f"times faster than {name}": ratio for name, ratio in faster.items()}
    return rows, facts | {"steps of descent": float(case.every * POINTS)}


def _loosest(
    flow: Callable[..., Curves], error: Callable[[Curves], float], target: float
) -> Callable[[], Curves]:
    for exponent in range(2, 13):
        candidate = partial(flow, rtol=10.0**-exponent)
        with np.errstate(over="ignore", invalid="ignore"):
            if error(candidate()) <= target:
                break
    return candidate


def main(size: Literal["quick", "full"] = "full") -> None:
    """Run the benchmark and write results/closed_form.json.

    Args:
        size: `quick` starts at 1e-3 and times every contestant once.
    """
    with float64():
        scale, repeats = (1e-3, 1) if size == "quick" else (1e-6, 5)
        rows, facts = compare(make_case(scale), repeats)
    name = "closed_form" if size == "full" else "closed_form_quick"
    harness.report(name, rows, facts, dtype=np.float64)


if __name__ == "__main__":
    tyro.cli(main)
