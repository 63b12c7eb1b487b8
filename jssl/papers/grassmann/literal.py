"""The closed forms as printed in the paper lose their accuracy in floating point at late times."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jssl.manifolds import Grassmann
from jssl.papers.claims import at_least, at_most
from jssl.papers.grassmann.exact import SOURCE
from jssl.papers.outcome import Part, Settings
from jssl.single_use import compile_for_many_steps
from jssl.theory import grassmann
from jssl.types import Array, Claim, Rival

FEATURES, DIM = 8, 3
EARLY, LATE = 0.5, 15.0
"""Effective times. At the late one, the smallest factor e^{-2 (l_d - l_1) t} is e^-90."""

QUANTITIES = {
    "projector": (
        "the projector W W^T of orthonormal weights",
        "The form is P = E (E^T E)^-1 E^T with E = e^{-2Ct} W_0.",
    ),
    "outer-product": (
        "W W^T for a start that is not orthonormal",
        "The flow is W' = -2 (C W - W W^T C W) from a start of full rank.",
    ),
    "frozen-gram": (
        "the output Gram matrix with frozen features",
        "The flow is F' = -2 F M (K - F^T F) with the pairing matrix M and the kernel K.",
    ),
}
"""Name of a closed form -> the quantity that it gives, and the equation."""


def literal_forms(settings: Settings) -> Part:
    """Test the closed forms as printed, and the forms of jssl, against numerical integration."""
    key = jax.random.fold_in(jax.random.key(settings.seed), 33)
    keys = jax.random.split(key, 4)
    basis = Grassmann().random(keys[0], (FEATURES, FEATURES), jnp.float64)
    values = jnp.linspace(-1.5, 1.5, FEATURES)
    objective = (basis * values) @ basis.T
    start = Grassmann().random(keys[1], (FEATURES, DIM), jnp.float64)
    free = 0.5 * jax.random.normal(keys[2], (FEATURES, DIM), jnp.float64)
    features = jax.random.normal(keys[3], (10, FEATURES), jnp.float64)
    kernel, pairing = features.T @ features, grassmann.pairing_matrix(FEATURES // 2)
    outputs = start.T @ jnp.linalg.cholesky(kernel).T

    def printed(time: float) -> tuple[Array, ...]:
        growth, one = growth_at(basis, values, time), jnp.eye(FEATURES)
        tall = growth @ start
        shrunk = jnp.eye(DIM) + free.T @ (growth @ growth - one) @ free
        image = outputs @ jax.scipy.linalg.expm(-2 * time * pairing @ kernel)
        spread = jax.scipy.linalg.expm(-4 * time * kernel @ pairing) - one
        middle = jnp.eye(DIM) + outputs @ jnp.linalg.solve(kernel, spread @ outputs.T)
        return (
            tall @ jnp.linalg.solve(tall.T @ tall, tall.T),
            growth @ free @ jnp.linalg.solve(shrunk, free.T @ growth),
            image.T @ jnp.linalg.solve(middle, image),
        )

    def stable(time: float) -> tuple[Array, ...]:
        return (
            grassmann.projector(objective, start, time),
            grassmann.outer_product(objective, free, time),
            grassmann.frozen_gram(kernel, pairing, outputs, time),
        )

    def integrated(time: float) -> tuple[Array, ...]:
        frame, limit = (_integrate(objective, w, time) for w in (start, free))
        return frame @ frame.T, limit @ limit.T, _integrate_gram(kernel, pairing, outputs, time)

    early, late = integrated(EARLY), integrated(LATE)
    forms = ((stable(EARLY), early), (stable(LATE), late))
    claims = []
    for k, name in enumerate(QUANTITIES):
        errors = (
            _error(printed(EARLY)[k], early[k]),
            _error(printed(LATE)[k], late[k]),
            max(_error(safe[k], exact[k]) for safe, exact in forms),
            _error(printed(EARLY / 2)[k], early[k]),
        )
        claims += _form_claims(name, errors)
    return Part([*claims, *_frame_claims(basis, values, objective, start)], [])


def _form_claims(name: str, errors: tuple[float, float, float, float]) -> list[Claim]:
    """Return the claims on a closed form.

    The errors are those of the printed form early and late, of the stable form at the worse of the
    two times, and of the printed form at half the early time.
    """
    quantity, equation = QUANTITIES[name]
    return [
        at_most(
            f"grassmann/literal-{name}-holds-early",
            f"Soon after the start, the paper's closed form of {quantity} agrees with numerical "
            "integration.",
            SOURCE,
            1e-7,
            errors[0],
            details=f"{equation} The measured value is the relative error of the printed form at "
            f"time {EARLY:g}. The tolerance covers the error of the integration.",
            rivals=[Rival("half the rate, that of W' = -(C W - W W^T C W)", errors[3])],
        ),
        at_least(
            f"grassmann/literal-{name}-breaks",
            f"At late times, the paper's closed form of {quantity} is inaccurate in double "
            "precision.",
            SOURCE,
            1e-2,
            errors[1],
            details=f"{equation} The measured value is the relative error of the printed form at "
            f"time {LATE:g}, or 1 if the result is not finite.",
            rivals=[Rival("as accurate as the stable form", errors[2])],
        ),
        at_most(
            f"grassmann/safe-{name}-holds",
            f"At early and late times, jssl's closed form of {quantity} agrees with numerical "
            "integration.",
            SOURCE,
            1e-7,
            errors[2],
            details=f"{equation} jssl evaluates it in a numerically stable form. The measured "
            f"value is the larger relative error of times {EARLY:g} and {LATE:g}. The tolerance "
            "covers the error of the integration.",
            rivals=[Rival("as inaccurate as the printed form", errors[1])],
        ),
    ]


def _frame_claims(basis: Array, values: Array, objective: Array, start: Array) -> list[Claim]:
    polar = jnp.linalg.svd(growth_at(basis, values, 1.0) @ start, full_matrices=False)
    frame = polar[0] @ polar[2]
    weight = _integrate(objective, start, 1.0)
    same = float(jnp.linalg.norm(frame @ frame.T - weight @ weight.T))
    unmoved = float(jnp.linalg.norm(start @ start.T - weight @ weight.T))
    half = jnp.linalg.svd(growth_at(basis, values, 0.5) @ start, full_matrices=False)[0]
    return [
        at_least(
            "grassmann/frames-differ",
            "The polar factor of exp(-2Ct) W_0 differs from the weights W(t) of the exact flow.",
            SOURCE,
            1e-2,
            float(jnp.linalg.norm(frame - weight)),
            details="The measured value is the Frobenius norm of the difference at time 1. The "
            "weights are integrated numerically.",
            rivals=[Rival("the frames agree as their projectors do", same)],
        ),
        at_most(
            "grassmann/projectors-agree",
            "The polar factor of exp(-2Ct) W_0 spans the same subspace as the weights W(t) of the "
            "exact flow.",
            SOURCE,
            1e-8,
            same,
            details="The measured value is the Frobenius distance of the two projectors at time 1. "
            "The bound covers the error of the numerical integration of W(t).",
            rivals=[
                Rival(
                    "the polar factor of exp(-Ct) W_0",
                    float(jnp.linalg.norm(half @ half.T - weight @ weight.T)),
                ),
                Rival("the subspace of the start", unmoved),
            ],
        ),
    ]


def growth_at(basis: Array, values: Array, time: float) -> Array:
    """Return e^{-2Ct} from the eigenvectors and eigenvalues of C."""
    return basis * jnp.exp(-2 * values * time) @ basis.T


def _error(found: Array, truth: Array) -> float:
    value = float(jnp.linalg.norm(found - truth) / jnp.linalg.norm(truth))
    return value if math.isfinite(value) else 1.0


def _integrate(objective: Array, weight: Array, time: float, steps: int = 20_000) -> Array:
    """Return W(t) of W' = -2 (C W - W W^T C W) by the Runge-Kutta method of fourth order."""

    def slope(w: Array) -> Array:
        moved = objective @ w
        return -2 * (moved - w @ (w.T @ moved))

    return _runge_kutta(slope, weight, time, steps)


def _integrate_gram(kernel: Array, pairing: Array, outputs: Array, time: float) -> Array:
    """Return F^T F of F' = -2 F M (K - F^T F) by the Runge-Kutta method of fourth order."""

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

    return compile_for_many_steps(lambda y: jax.lax.fori_loop(0, steps, step, y))(start)
