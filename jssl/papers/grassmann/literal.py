"""The closed forms as the paper writes them: right early, lost where floats run out."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jssl.manifolds import Grassmann
from jssl.papers.claims import at_least, at_most
from jssl.papers.grassmann.exact import SOURCE
from jssl.papers.outcome import Part, Settings
from jssl.theory import grassmann
from jssl.types import Array


def literal_forms(settings: Settings) -> Part:
    """Judge the paper's closed forms as written against the safe ones, where floats run out."""
    key = jax.random.fold_in(jax.random.key(settings.seed), 33)
    keys = jax.random.split(key, 4)
    d, dim = 8, 3
    basis = Grassmann().random(keys[0], (d, d), jnp.float64)
    values = jnp.linspace(-1.5, 1.5, d)
    objective = (basis * values) @ basis.T
    start = Grassmann().random(keys[1], (d, dim), jnp.float64)
    late = 15.0  # e^{-2 (l_d - l_1) t} = e^-90
    free = 0.5 * jax.random.normal(keys[2], (d, dim), jnp.float64)
    features = jax.random.normal(keys[3], (10, d), jnp.float64)
    kernel, pairing = features.T @ features, grassmann.pairing_matrix(d // 2)
    outputs = start.T @ jnp.linalg.cholesky(kernel).T

    def written(time: float) -> tuple[Array, ...]:
        growth, one = growth_at(basis, values, time), jnp.eye(d)
        tall = growth @ start
        shrunk = jnp.eye(dim) + free.T @ (growth @ growth - one) @ free
        image = outputs @ jax.scipy.linalg.expm(-2 * time * pairing @ kernel)
        spread = jax.scipy.linalg.expm(-4 * time * kernel @ pairing) - one
        middle = jnp.eye(dim) + outputs @ jnp.linalg.solve(kernel, spread @ outputs.T)
        return (
            tall @ jnp.linalg.solve(tall.T @ tall, tall.T),
            growth @ free @ jnp.linalg.solve(shrunk, free.T @ growth),
            image.T @ jnp.linalg.solve(middle, image),
        )

    def safe(time: float) -> tuple[Array, ...]:
        return (
            grassmann.projector(objective, start, time),
            grassmann.outer_product(objective, free, time),
            grassmann.frozen_gram(kernel, pairing, outputs, time),
        )

    def integrated(time: float) -> tuple[Array, ...]:
        frame, limit = (_integrate(objective, w, time) for w in (start, free))
        return frame @ frame.T, limit @ limit.T, _integrate_gram(kernel, pairing, outputs, time)

    early = 0.5
    polar_start = jnp.linalg.svd(growth_at(basis, values, 1.0) @ start, full_matrices=False)
    frame = polar_start[0] @ polar_start[2]
    moved = _integrate(objective, start, 1.0)
    names = ("projector", "outer-product", "frozen-gram")
    texts = (
        "P = E (E^T E)^-1 E^T with E = e^{-2Ct} W_0",
        "W W^T of a full-rank start",
        "F^T F of frozen features",
    )
    claims = []
    at_early, at_late = integrated(early), integrated(late)
    rows = zip(
        names, texts, written(early), at_early, written(late), safe(late), at_late, strict=True
    )
    for name, text, soon, first, then, held, truth in rows:
        claims += [
            at_most(
                f"grassmann/literal-{name}-holds-early",
                f"the closed form {text}, as written, at t = {early:g}: relative error, so that it "
                "is the form and not its writing down that breaks",
                SOURCE,
                1e-7,
                _error(soon, first),
            ),
            at_least(
                f"grassmann/literal-{name}-breaks",
                f"the same evaluated in float64 at t = {late:g}: relative error (1 where it is not "
                "a number), more than 1e-2",
                SOURCE,
                1e-2,
                _error(then, truth),
            ),
            at_most(
                f"grassmann/safe-{name}-holds",
                f"{text} in its safe form at t = {late:g}: relative error",
                SOURCE,
                1e-7,
                _error(held, truth),
            ),
        ]
    off = float(jnp.linalg.norm(frame - moved))
    same = float(jnp.linalg.norm(frame @ frame.T - moved @ moved.T))
    claims += [
        at_least(
            "grassmann/frames-differ",
            "the polar factor of e^{-2Ct} W_0 off the integrated W(t) at t = 1: another basis",
            SOURCE,
            1e-2,
            off,
        ),
        at_most(
            "grassmann/projectors-agree",
            "and of the same subspace: distance of the projectors, the error of the integration",
            SOURCE,
            1e-8,
            same,
        ),
    ]
    return Part(claims, [])


def growth_at(basis: Array, values: Array, time: float) -> Array:
    """Return e^{-2Ct}."""
    return basis * jnp.exp(-2 * values * time) @ basis.T


def _error(found: Array, truth: Array) -> float:
    value = float(jnp.linalg.norm(found - truth) / jnp.linalg.norm(truth))
    return value if math.isfinite(value) else 1.0


def _integrate(objective: Array, weight: Array, time: float, steps: int = 20_000) -> Array:
    """Return W(t) of W' = -2 (C W - W W^T C W) by Runge-Kutta of fourth order."""

    def slope(w: Array) -> Array:
        moved = objective @ w
        return -2 * (moved - w @ (w.T @ moved))

    return _runge_kutta(slope, weight, time, steps)


def _integrate_gram(kernel: Array, pairing: Array, outputs: Array, time: float) -> Array:
    """Return F^T F of F' = -2 F M (K - F^T F) by Runge-Kutta of fourth order."""

    def slope(f: Array) -> Array:
        return -2 * (f @ pairing) @ (kernel - f.T @ f)

    end = _runge_kutta(slope, outputs, time, round(13_000 * time))
    return end.T @ end


def _runge_kutta(slope: Callable[[Array], Array], start: Array, time: float, steps: int) -> Array:
    h = time / steps

    def step(_: int, y: Array) -> Array:
        a = slope(y)
        b = slope(y + h / 2 * a)
        c = slope(y + h / 2 * b)
        return y + h / 6 * (a + 2 * b + 2 * c + slope(y + h * c))

    return jax.jit(lambda y: jax.lax.fori_loop(0, steps, step, y))(start)
