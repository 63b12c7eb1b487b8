"""Kernels of opposite and nearly opposite inputs, against the formulas in 40 digits."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from jssl.kernels.tiles import KernelProduct
from jssl.models import ACTIVATIONS, mlp, residual
from jssl.models.activations import LEAK
from jssl.models.correlation import Directions, directions, gaps, unit_rows

ANGLES = np.concatenate([[0.0], np.logspace(-14, -0.3, 28)])
NETS = {
    "relu": (mlp, {"activation": "relu", "depth": 1}),
    "three layers": (mlp, {"activation": "relu", "depth": 3}),
    "leaky": (mlp, {"activation": "leaky_relu", "depth": 2}),
    "small bias": (mlp, {"activation": "relu", "depth": 2, "bias_std": 1e-5}),
    "deep": (mlp, {"activation": "relu", "depth": 2}),
    "residual": (residual, {"activation": "relu", "blocks": 2, "branch_std": 1e-4}),
    "erf": (mlp, {"activation": "erf", "depth": 2, "weight_std": 30.0}),
    "linear": (mlp, {"activation": "linear", "depth": 2}),
}

AMPLIFIED = {"erf": 30.0**3}
"""A saturated layer multiplies the error of an angle by up to its standard deviation."""


def _opposite(angles, dtype, dim=7):
    """The first row, and rows that are these angles short of the opposite direction."""
    basis = np.linalg.qr(np.random.default_rng(1).standard_normal((dim, 2)))[0]
    x = np.cos(angles)[:, None] * basis[:, 0] + np.sin(angles)[:, None] * basis[:, 1]
    return 3 * np.concatenate([basis[None, :, 0], -x]).astype(dtype)


def _dual(name, p, q, c):
    """E[phi(u) phi(v)] and E[phi'(u) phi'(v)] (Cho and Saul 2009; Williams 1997)."""
    if name == "linear":
        return c, mp.mpf(1)
    if name == "erf":
        inside = (1 + 2 * p) * (1 + 2 * q) - 4 * c * c
        return 2 / mp.pi * mp.atan2(2 * c, mp.sqrt(inside)), 4 / mp.pi / mp.sqrt(inside)
    leak = mp.mpf(LEAK) if name == "leaky_relu" else mp.mpf(0)
    sine = mp.sqrt(max(p * q - c * c, 0))
    angle = mp.atan2(sine, c)
    value = (sine + (mp.pi - angle) * c) / (2 * mp.pi)
    share = (1 - leak) ** 2
    return leak * c + share * value, leak + share * (mp.pi - angle) / (2 * mp.pi)


def _exact(build, options, x, y):
    """NTK of two inputs, each layer by its formula, from their very digits."""
    x, y = ([mp.mpf(float(value)) for value in row] for row in (x, y))
    name = options["activation"]
    bias = mp.mpf(options.get("bias_std", 0)) ** 2
    gain = mp.mpf(options.get("weight_std", ACTIVATIONS[name].weight_std)) ** 2
    moments = [gain * mp.fdot(a, b) / len(x) + bias for a, b in ((x, x), (y, y), (x, y))]
    ntk = moments[2]

    def step(moments, ntk, gain):
        p, q, c = moments
        value, slope = _dual(name, p, q, c)
        own = [gain * _dual(name, v, v, v)[0] + bias for v in (p, q)]
        return [*own, gain * value + bias], gain * value + bias + gain * ntk * slope

    if build is mlp:
        for _ in range(options["depth"]):
            moments, ntk = step(moments, ntk, gain)
        return ntk
    for _ in range(options["blocks"]):
        more, change = step(moments, ntk, mp.mpf(options["branch_std"]) ** 2)
        moments, ntk = [a + b for a, b in zip(moments, more, strict=True)], ntk + change
    return step(moments, ntk, gain)[1]


@pytest.mark.float32
@pytest.mark.parametrize("where", ["host", "traced"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-6)])
@pytest.mark.parametrize("net", NETS)
def test_nearly_opposite_inputs_keep_their_digits(net, dtype, tolerance, where):
    """Relative to the largest entry of the kernel."""
    build, options = NETS[net]
    with jax.enable_x64(dtype == "float64"):
        x = _opposite(ANGLES, dtype)
        kernel = build(7, 1, **options).kernel
        found = (jax.jit(kernel) if where == "traced" else kernel)(x, x)[1]
    with mp.workdps(40):
        known = np.array([float(_exact(build, options, x[0], row)) for row in x])
    assert found.dtype == dtype
    tolerance = max(tolerance, AMPLIFIED.get(net, 0) * float(jnp.finfo(dtype).eps))
    np.testing.assert_allclose(found[0], known, rtol=0, atol=tolerance * np.abs(known).max())


@pytest.mark.float32
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_more_opposite_pairs_than_the_list_of_candidates(dtype):
    """Inputs on a line: every pair is equal or opposite, k(x, -x) = 0 for the NNGP."""
    with jax.enable_x64(dtype == "float64"):
        line = np.linspace(-1, 1, 40).astype(dtype)
        x = line[:, None] * np.array([[0.6, -0.8, 1.0]], dtype)
        kernel = mlp(3, 1, depth=1, activation="relu").kernel
        nngp, ntk = jax.jit(kernel)(x, x)
        product = x.astype(float) @ x.astype(float).T / 3
    tolerance = 20 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(nngp, 2 * np.maximum(product, 0), rtol=0, atol=tolerance)
    np.testing.assert_allclose(ntk, 4 * np.maximum(product, 0), rtol=0, atol=tolerance)


def test_tiles_keep_the_digits_of_opposite_inputs():
    x = np.concatenate([_opposite(ANGLES, float), np.zeros((2, 7))])
    model = mlp(7, 1, depth=2, activation="relu")
    product = KernelProduct(model, x, tile=16)
    with mp.workdps(40):
        known = [float(_exact(*NETS["deep"], x[0], row)) for row in x[:-2]]
    found = product(np.eye(len(x)))
    np.testing.assert_allclose(found[0, :-2], known, rtol=0, atol=1e-12 * max(known))
    np.testing.assert_array_equal(found, found.T)


@pytest.mark.parametrize("where", ["numpy", "traced"])
def test_signed_gaps_are_those_of_the_angles(where):
    """Exactly opposite rows count as far, rows of zeros as perpendicular."""
    angles = np.concatenate([ANGLES, np.linspace(0.5, np.pi - 0.5, 30), [np.pi]])
    x = np.stack([np.cos(angles), np.sin(angles)], 1)
    x[-1] = -x[0]
    unit = unit_rows(np.concatenate([x, -x, np.zeros((1, 2))]))[0]
    known = 2 * np.sin(np.concatenate([angles, np.pi - angles, [np.pi / 2]]) / 2) ** 2
    unit = unit if where == "numpy" else jnp.asarray(unit)
    of = directions(unit, unit.mean(0) + 0.1)
    found = np.asarray(gaps(Directions(of.offset[:1], of.half[:1], of.centre), of)[0])
    far = known > 1 + 1e-12
    np.testing.assert_array_equal(found[known < 1 - 1e-12] < 0, False)
    np.testing.assert_array_equal(found[far] < 0, True)
    np.testing.assert_allclose(
        np.abs(found), np.where(far, 2 - known, known), rtol=1e-9, atol=1e-15
    )
