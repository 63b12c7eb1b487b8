"""Closed kernels of dense networks: against neural-tangents, integration and exact angles."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jssl._compat import neural_tangents
from jssl.kernels import infinite
from jssl.models import ACTIVATIONS, centred, dense_kernel, mlp, residual, zonal
from jssl.models.activations import LEAK
from jssl.models.dense_kernel import KINDS, DenseKernel
from jssl.models.recursion import Gains, Network, propagate, side

RNG = np.random.default_rng(0)
X1, X2 = RNG.standard_normal((6, 5)), 2 * RNG.standard_normal((7, 5))
STAX = {
    "erf": ("Erf",),
    "gelu": ("Gelu",),
    "leaky_relu": ("LeakyRelu", LEAK),
    "linear": ("Identity",),
    "relu": ("Relu",),
    "sin": ("Sin",),
}
NETS = {
    "shallow": (mlp, {"depth": 1}),
    "no hidden layer": (mlp, {"depth": 0, "bias_std": 0.3, "output_scale": 0.5}),
    "deep, biased": (mlp, {"depth": 3, "weight_std": 1.2, "bias_std": 0.4}),
    "small start": (mlp, {"depth": 2, "bias_std": 0.2, "output_scale": 0.1}),
    "residual": (residual, {"blocks": 2}),
    "residual, biased": (
        residual,
        {"blocks": 3, "branch_std": 0.8, "bias_std": 0.3, "output_scale": 2.0},
    ),
}


def _by_neural_tangents(build, activation, options, x1, x2):
    stax = neural_tangents.load().stax
    options = {"weight_std": ACTIVATIONS[activation].weight_std, "bias_std": 0.0} | options
    bias = options["bias_std"] or None
    name, *parameters = STAX[activation]
    phi = getattr(stax, name)(*parameters)
    affine = stax.Dense(1, options["weight_std"], bias)
    if build is mlp:
        layers = [affine, *[phi, affine] * options["depth"]]
    else:
        blocks = options["blocks"]
        gain = options.get("branch_std", options["weight_std"] / np.sqrt(blocks))
        branch = stax.serial(phi, stax.Dense(1, gain, bias))
        skip = stax.serial(stax.FanOut(2), stax.parallel(stax.Identity(), branch), stax.FanInSum())
        layers = [affine, *[skip] * blocks, phi, affine]
    nngp, ntk = stax.serial(*layers)[2](x1, x2, ("nngp", "ntk"))
    size = options.get("output_scale", 1.0) ** 2
    return size * nngp, nngp + size * (ntk - nngp)


@pytest.mark.filterwarnings("ignore:`FanIn` layers assume independent inputs")
@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("activation", STAX)
def test_kernels_are_those_of_neural_tangents(activation, net):
    build, options = NETS[net]
    model = build(5, 2, width=4, activation=activation, **options)
    for x1, x2 in ((X1, X2), (X1, -X1[:2]), (1e3 * X1, 1e-3 * X2)):
        expected = _by_neural_tangents(build, activation, options, x1, x2)
        for found, known in zip(model.kernel(x1, x2), expected, strict=True):
            scale = np.abs(known).max()
            np.testing.assert_allclose(found, known, rtol=1e-10, atol=1e-10 * scale)


SMOOTH = {
    "sigmoid": (scipy.special.expit, lambda x: scipy.special.expit(x) * scipy.special.expit(-x)),
    "silu": (
        lambda x: x * scipy.special.expit(x),
        lambda x: scipy.special.expit(x) * (1 + x * scipy.special.expit(-x)),
    ),
    "softplus": (lambda x: np.logaddexp(0, x), scipy.special.expit),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
}


def _integral(function, c, p, q):
    """E[f(u) f(v)] by Gauss-Hermite quadrature in the plane."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()
    u = np.sqrt(p) * nodes
    v = c / p * u[:, None] + np.sqrt(max(q - c**2 / p, 0)) * nodes
    return weights @ (function(u) * (function(v) @ weights))


@pytest.mark.parametrize("build", [mlp, residual])
@pytest.mark.parametrize("activation", SMOOTH)
def test_deep_kernels_are_the_recursion_with_integrals(activation, build):
    """Two inputs; the 2 x 2 covariances of the layers, each entry by integration."""
    gain, branch, bias, hidden = 1.2, 0.7, 0.3, 2
    inner = {"depth": hidden} if build is mlp else {"blocks": hidden, "branch_std": branch}
    x = np.array([[0.3, -0.5], [0.7, 0.4]])
    model = build(2, 2, width=4, activation=activation, weight_std=gain, bias_std=bias, **inner)

    def step(nngp, ntk, gain):
        after = [
            np.array(
                [[_integral(f, nngp[i, j], nngp[i, i], nngp[j, j]) for j in (0, 1)] for i in (0, 1)]
            )
            for f in SMOOTH[activation]
        ]
        value = gain**2 * after[0] + bias**2
        return value, value + gain**2 * ntk * after[1]

    nngp = ntk = gain**2 * x @ x.T / 2 + bias**2
    for _ in range(hidden):
        if build is mlp:
            nngp, ntk = step(nngp, ntk, gain)
        else:
            nngp, ntk = (a + b for a, b in zip((nngp, ntk), step(nngp, ntk, branch), strict=True))
    if build is residual:
        nngp, ntk = step(nngp, ntk, gain)
    for found, known in zip(model.kernel(x, x), (nngp, ntk), strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-8)


ANGLES = np.concatenate([[0.0], np.logspace(-6, -0.3, 24)])


def _turned(angles, dim=40):
    """Unit vectors in float32 at these angles to the first one."""
    basis = np.linalg.qr(RNG.standard_normal((dim, 2)))[0]
    x = np.cos(angles)[:, None] * basis[:, 0] + np.sin(angles)[:, None] * basis[:, 1]
    return (3 * x).astype(np.float32)


def _relu_kernel(x, depth):
    """NTK of the first row with all others, the angles from differences, in float64."""
    x = x.astype(float)
    size = np.linalg.norm(x, axis=1)
    unit = x / size[:, None]
    half = np.arcsin(np.clip(np.linalg.norm(unit - unit[0], axis=1) / 2, 0, 1))
    gap = 2 * np.sin(half) ** 2
    ntk = nngp = 1 - gap
    for _ in range(depth):
        angle = 2 * np.arcsin(np.sqrt(gap / 2))
        ntk = ntk * (np.pi - angle) / np.pi
        gap = gap - (np.sin(angle) - angle * np.cos(angle)) / np.pi
        nngp = 1 - gap
        ntk = ntk + nngp
    return 2 * ntk * size * size[0] / x.shape[1]


def _with_opposites(x):
    """The inputs and their negatives, so that the mean direction is of no help."""
    return np.concatenate([x, -x])


@pytest.mark.float32
@pytest.mark.parametrize("where", ["host", "traced"])
@pytest.mark.parametrize("depth", [1, 3])
def test_nearly_equal_inputs_keep_their_digits_in_float32(depth, where):
    x = _turned(ANGLES)
    kernel = mlp(40, 1, depth=depth, activation="relu").kernel
    kernel = jax.jit(kernel) if where == "traced" else kernel
    found = kernel(_with_opposites(x), _with_opposites(x))[1]
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found[0, : len(x)], _relu_kernel(x, depth), rtol=1e-6)


@pytest.mark.float32
def test_many_nearly_equal_inputs_keep_their_digits_in_float32_when_traced():
    """More near pairs than the list of candidates takes."""
    x = _turned(np.linspace(0, 0.05, 60))
    both = _with_opposites(x)
    found = jax.jit(mlp(40, 1, depth=2, activation="relu").kernel)(both, both)[1]
    np.testing.assert_allclose(found[0, : len(x)], _relu_kernel(x, 2), rtol=1e-6)


def test_nearly_equal_inputs_keep_their_digits_in_float64():
    angles = np.logspace(-9, -1, 30)
    x = np.stack([np.cos(angles), np.sin(angles)], 1)
    x = np.concatenate([[[1.0, 0.0]], x])
    kernel = mlp(2, 1, depth=2, activation="relu").kernel
    both = _with_opposites(x)
    for function in (kernel, jax.jit(kernel)):
        found = function(both, both)[1][0, : len(x)]
        np.testing.assert_allclose(found, _relu_kernel(x, 2), rtol=1e-12)


@pytest.mark.parametrize(
    ("build", "activation"),
    [*((mlp, name) for name in sorted(ACTIVATIONS)), (residual, "relu"), (residual, "erf")],
)
def test_numpy_compiled_blocks_and_traced_kernels_agree(build, activation, monkeypatch):
    layers = {"depth": 1} if build is mlp else {}
    kernel = build(5, 2, activation=activation, bias_std=0.3, output_scale=0.7, **layers).kernel
    monkeypatch.setattr(dense_kernel, "BLOCK", 4)
    by_numpy = kernel(X1, X2), kernel.of_kinds(X2, None)
    monkeypatch.setattr(dense_kernel, "_COMPILE", 0)
    monkeypatch.setattr(dense_kernel, "_COMPILE_POLYNOMIAL", 0)
    compiled = kernel(X1, X2), kernel.of_kinds(X2, None)
    traced = jax.jit(kernel)(X1, X2), jax.jit(kernel)(X2, X2)
    for found in (compiled, traced):
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(by_numpy), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_half_of_a_symmetric_kernel_is_mirrored_exactly(kind, monkeypatch):
    monkeypatch.setattr(dense_kernel, "BLOCK", 4)
    monkeypatch.setattr(dense_kernel, "_PANEL", 2)
    x = RNG.standard_normal((11, 5))
    model = mlp(5, 2, activation="relu", bias_std=0.1)
    gram = np.asarray(infinite.kernel(model, x, kind=kind))
    np.testing.assert_array_equal(gram, gram.T)
    whole = model.kernel(x, x[::-1])[KINDS.index(kind)][:, ::-1]
    np.testing.assert_allclose(gram, whole, rtol=1e-12)


@pytest.mark.parametrize(
    ("build", "activation"),
    [(mlp, "leaky_relu"), (mlp, "sin"), (mlp, "tanh"), (residual, "relu"), (residual, "gelu")],
)
def test_zero_and_equal_inputs_have_finite_kernels_and_slopes(build, activation):
    x = jnp.asarray(np.array([[0.0, 0.0], [1.0, 2.0], [1.0, 2.0], [-1.0, -2.0]]))
    kernel = build(2, 1, activation=activation).kernel
    slope = jax.grad(lambda x: sum(jnp.sum(part) for part in kernel(x, x)))(x)
    assert np.isfinite(slope).all()
    for part in kernel(x, x):
        assert np.linalg.eigvalsh(part)[0] > -1e-12


def test_slope_of_a_kernel_is_that_of_finite_differences():
    kernel = mlp(5, 1, depth=2, activation="relu", bias_std=0.2).kernel
    x, direction = jnp.asarray(X1), jnp.asarray(RNG.standard_normal(X1.shape))
    f = jax.jit(lambda t: jnp.sum(jnp.sin(kernel(x + t * direction, X2)[1])))
    near = (f(1e-5) - f(-1e-5)) / 2e-5
    np.testing.assert_allclose(jax.grad(f)(0.0), near, rtol=1e-7)


def test_centred_models_share_the_tangent_kernel():
    base = mlp(5, 1, activation="relu")
    small = centred(base, 0.1)
    np.testing.assert_allclose(small.kernel(X1, X2)[1], base.kernel(X1, X2)[1], rtol=1e-12)


def test_dense_kernels_need_no_other_package():
    code = """if True:
        import sys
        sys.modules["neural_tangents"] = sys.modules["frozendict"] = None
        import numpy as np
        from jssl.models import ACTIVATIONS, mlp, residual
        x = np.eye(3)
        for name in ACTIVATIONS:
            for build in (mlp, residual):
                assert np.isfinite(build(3, 1, activation=name).kernel(x, x)[1]).all()
        print("fine")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "fine\n", done.stderr


def test_every_dense_model_has_a_dense_kernel():
    for model in (mlp(5, 2), residual(5, 2)):
        assert isinstance(model.kernel, DenseKernel)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("hidden", [1, 3, 12])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "linear"])
@pytest.mark.parametrize("block", [False, True])
def test_polynomials_of_homogeneous_networks_are_the_recursion(activation, hidden, block, dtype):
    """At every angle: near 0, near pi, at a right angle; NumPy and compiled."""
    network, gains = Network(activation, hidden, block), Gains(1.2, 0.5, output=0.3)
    polynomials = zonal.zonal(network, gains, np.dtype(dtype))
    small = np.logspace(-13, 0, 200)
    even = np.linspace(0, 1, 201)
    gap = np.concatenate([[0], small, -small, even, -even[1:]])[None].astype(dtype)
    one, many = (side(network, gains, np.ones(n)) for n in (1, gap.shape[1]))
    expected = propagate(network, gains, gap.astype(float), one, many)
    sizes = np.ones((1, 1), dtype), np.ones_like(gap)
    for function in (zonal.evaluate, zonal.compiled):
        for found, known in zip(function(polynomials, gap, *sizes, (0, 1)), expected, strict=True):
            assert found.dtype == dtype
            tolerance = 3e-13 if dtype == "float64" else 4e-7
            np.testing.assert_allclose(found, known, rtol=0, atol=tolerance * known.max())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("low", "high"), [(0.5, 0.9), (0.99, 1.01), (1.4, 1.4), (0, 2)])
def test_polynomials_of_a_block_have_the_degree_that_its_angles_need(low, high, dtype, monkeypatch):
    network, gains = Network("relu", 3), Gains(2**0.5)
    polynomials = zonal.zonal(network, gains, np.dtype(dtype))
    degrees, degree = [], zonal._degree
    monkeypatch.setattr(zonal, "_degree", lambda *a: degrees.append(degree(*a)) or degrees[-1])
    gap = np.linspace(low, high, 301)[None]
    gap = np.where(gap > 1, np.minimum(gap - 2, -1e-30), gap).astype(dtype)
    one, many = (side(network, gains, np.ones(n)) for n in (1, 301))
    expected = propagate(network, gains, gap.astype(float), one, many)
    sizes = np.ones((1, 1), dtype), np.ones_like(gap)
    tolerance = 3e-13 if dtype == "float64" else 4e-7
    for found, known in zip(zonal.evaluate(polynomials, gap, *sizes), expected, strict=True):
        np.testing.assert_allclose(found, known, rtol=0, atol=tolerance * known.max())
    assert (max(degrees) < len(polynomials.near) - 5) == (high - low < 2)


def test_networks_that_are_not_homogeneous_have_no_polynomials():
    for network in (Network("erf", 2), Network("relu", 2, biased=True)):
        assert zonal.zonal(network, Gains(1.0, bias=0.1), np.dtype("float64")) is None
    assert zonal.zonal(Network("relu", 500), Gains(2**0.5), np.dtype("float64")) is None


@pytest.mark.float32
@pytest.mark.parametrize("where", ["host", "traced"])
def test_inputs_with_a_large_common_mean_keep_their_digits_in_float32(where):
    """Cosines of about 0.96, as of images that were not centred."""
    rng = np.random.default_rng(5)
    noise = rng.standard_normal((100, 784)) * np.abs(rng.standard_normal(784))
    x = (1 + 0.2 * noise).astype(np.float32)
    kernel = mlp(784, 1, depth=3, activation="relu").kernel
    found = (jax.jit(kernel) if where == "traced" else kernel)(x, x)[1]
    np.testing.assert_allclose(found[0], _relu_kernel(x, 3), rtol=6e-7)
