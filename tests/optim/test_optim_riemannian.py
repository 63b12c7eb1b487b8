"""The links against the same algorithms written out in NumPy, and their guards."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.linalg

import jssl
from jssl.manifolds import Grassmann, Stiefel
from jssl.optim import (
    grassmann_adam,
    grassmann_sgd,
    manifold_error,
    orthonormalize,
    project_to_tangent,
    retract,
    riemannian_trace,
    scale_by_riemannian_adam,
    stiefel_adam,
    stiefel_sgd,
)
from jssl.optim.descent import learning_rate_at

RNG = np.random.default_rng(7)
X = np.linalg.qr(RNG.normal(size=(8, 3)))[0]
C = (lambda a: a + a.T)(RNG.normal(size=(8, 8)))
GRADIENTS = [RNG.normal(size=(8, 3)) for _ in range(5)]


def tangent_part(x, v, horizontal=False):
    s = x.T @ v
    return v - x @ (s if horizontal else (s + s.T) / 2)


def run(tx, gradients=GRADIENTS, x=X):
    x, state = jnp.asarray(x), tx.init(jnp.asarray(x))
    update = jax.jit(tx.update)
    for g in gradients:
        updates, state = update(jnp.asarray(g), state, x)
        x = optax.apply_updates(x, updates)
    return np.asarray(x)


@pytest.mark.parametrize("horizontal", [False, True])
@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_transported_by_projection(horizontal, nesterov):
    x, trace = X, np.zeros_like(X)
    for g in GRADIENTS:
        gradient = tangent_part(x, g, horizontal)
        trace = gradient + 0.9 * tangent_part(x, trace, horizontal)
        step = gradient + 0.9 * trace if nesterov else trace
        x = scipy.linalg.polar(x - 0.1 * step)[0]
    make = grassmann_sgd if horizontal else stiefel_sgd
    np.testing.assert_allclose(run(make(0.1, 0.9, nesterov)), x, atol=1e-12)


def numpy_adam(horizontal=False, elementwise=False, canonical=False):
    x, m, v = X, np.zeros_like(X), 0.0
    for k, g in enumerate(GRADIENTS, start=1):
        gradient = g - x @ g.T @ x if canonical else tangent_part(x, g, horizontal)
        square = gradient**2 if elementwise else np.sum(gradient**2)
        if canonical:
            square -= np.sum(np.square(x.T @ gradient)) / 2
        m = 0.8 * tangent_part(x, m, horizontal) + 0.2 * gradient
        v = 0.95 * v + 0.05 * square
        step = (m / (1 - 0.8**k)) / (np.sqrt(v / (1 - 0.95**k)) + 1e-3)
        if elementwise:
            step = tangent_part(x, step, horizontal)
        x = scipy.linalg.polar(x - 0.1 * step)[0]
    return x


ADAMS = [
    (stiefel_adam, {}, {}),
    (grassmann_adam, {}, {"horizontal": True}),
    (stiefel_adam, {"second_moment": "elementwise"}, {"elementwise": True}),
    (stiefel_adam, {"manifold": Stiefel(metric="canonical")}, {"canonical": True}),
]


@pytest.mark.parametrize(("make", "options", "variant"), ADAMS)
def test_adam_has_one_second_moment_a_matrix_in_the_metric(make, options, variant):
    seen = run(make(0.1, 0.8, 0.95, 1e-3, **options))
    np.testing.assert_allclose(seen, numpy_adam(**variant), atol=1e-12)


def test_batched_matrices_have_one_second_moment_each():
    tx = scale_by_riemannian_adam(manifold=Stiefel(row_axis=0, col_axis=2))
    params = jnp.stack([jnp.asarray(X)] * 4, axis=1)
    assert tx.init(params).nu.shape == (1, 4, 1)
    scaled = jnp.asarray(GRADIENTS[0])[:, None] * jnp.array([1.0, 10.0, 100.0, 1000.0])[:, None]
    tangents = Stiefel(row_axis=0, col_axis=2).project(params, scaled)
    steps, _ = tx.update(tangents, tx.init(params), params)
    np.testing.assert_allclose(jnp.linalg.norm(steps, axis=(0, 2)), 1.0, rtol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "canonical"])
def test_descent_reaches_the_bottom_eigenvectors_of_a_brockett_loss(metric):
    """tr(X^T C X D) with distinct D has its minimum where the columns are eigenvectors."""
    weights = np.array([3.0, 2.0, 1.0])
    gradient = jax.grad(lambda x: jnp.sum((C @ x) * x * weights))
    tx = stiefel_sgd(0.02, manifold=Stiefel(metric=metric))

    def step(carry, _):
        x, state = carry
        updates, state = tx.update(gradient(x), state, x)
        return (optax.apply_updates(x, updates), state), None

    start = (jnp.asarray(X), tx.init(jnp.asarray(X)))
    x = jax.jit(lambda c: jax.lax.scan(step, c, None, length=3000)[0][0])(start)
    bottom = np.linalg.eigh(C)[1][:, :3]
    np.testing.assert_allclose(np.abs(bottom.T @ x), np.eye(3), atol=1e-6)


@pytest.mark.parametrize("make", [stiefel_sgd, grassmann_sgd])
def test_plain_descent_alone_has_a_gradient_flow_time(make):
    assert learning_rate_at(make(0.25), 3) == 0.25
    assert learning_rate_at(make(optax.linear_schedule(1.0, 0.0, 10)), 5) == 0.5
    assert learning_rate_at(make(0.25, 0.9), 3) is None
    assert learning_rate_at(stiefel_adam(0.25), 3) is None


MOMENTUM = {
    "momentum": lambda **o: stiefel_sgd(0.1, 0.9, **o),
    "adam": lambda **o: stiefel_adam(0.1, **o),
}


@pytest.mark.parametrize("name", MOMENTUM)
def test_a_rotation_of_the_columns_only_rotates_the_path(name):
    """Rounding of five steps with polar; QR and Adam by entries follow another path."""
    rotation = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    turned = [g @ rotation for g in GRADIENTS]

    def error(**options):
        tx = MOMENTUM[name](**options)
        return np.abs(run(tx) @ rotation - run(tx, turned, X @ rotation)).max()

    assert error() < 1e-12
    assert error(method="cholesky_qr2") > 1e-3
    if name == "adam":
        assert error(second_moment="elementwise") > 1e-3


@pytest.mark.float32
@pytest.mark.parametrize("make", [stiefel_sgd, stiefel_adam, grassmann_sgd, grassmann_adam])
def test_ten_thousand_noisy_float32_steps_stay_on_the_manifold(make):
    """The bound of the design: 2e-6 sqrt(p / 16) with p = 16; X is (32, 16), float32."""
    tx = make(1e-2)
    noise = jax.random.normal(jax.random.key(0), (50, 32, 16))

    def step(carry, k):
        x, state = carry
        updates, state = tx.update(noise[k % 50] + 0.1 * k % 3, state, x)
        return (optax.apply_updates(x, updates), state), None

    @jax.jit
    def run_all(x):
        (x, _), _ = jax.lax.scan(step, (x, tx.init(x)), jnp.arange(10_000))
        return x

    x = run_all(Stiefel().random(jax.random.key(1), (32, 16)))
    assert x.dtype == jnp.float32
    assert np.linalg.norm(np.asarray(x, np.float64).T @ x - np.eye(16)) < 2e-6


@pytest.mark.parametrize("make", [stiefel_sgd, stiefel_adam, grassmann_adam])
def test_updates_are_differentiable_at_a_zero_gradient(make):
    """Descent has the derivative -lr times the projection; Adam a finite one."""
    tx = make(0.1)
    state = tx.init(jnp.asarray(X))

    def end(g):
        return tx.update(g, state, jnp.asarray(X))[0]

    assert np.abs(end(jnp.zeros((8, 3)))).max() < 1e-15
    slope = jax.jit(lambda v: jax.jvp(end, (jnp.zeros((8, 3)),), (v,))[1])(GRADIENTS[0])
    back = jax.jit(jax.grad(lambda g: (end(g) * GRADIENTS[0]).sum()))(jnp.zeros((8, 3)))
    assert np.isfinite(slope).all()
    assert np.isfinite(back).all()
    if make is stiefel_sgd:
        np.testing.assert_allclose(slope, -0.1 * tangent_part(X, GRADIENTS[0]), atol=1e-13)


def test_non_finite_gradients_give_non_finite_parameters():
    gradient = jnp.full((8, 3), jnp.nan)
    assert np.isnan(run(stiefel_sgd(0.1), [gradient])).all()
    assert not np.isfinite(run(stiefel_adam(0.1), [jnp.full((8, 3), jnp.inf)])).any()


LINKS = {
    "project_to_tangent": lambda: project_to_tangent(Stiefel()),
    "riemannian_trace": lambda: riemannian_trace(0.9, manifold=Stiefel()),
    "scale_by_riemannian_adam": lambda: scale_by_riemannian_adam(manifold=Stiefel()),
    "retract": lambda: retract(Stiefel()),
}


@pytest.mark.parametrize("name", LINKS)
def test_every_link_refuses_what_it_cannot_hold(name):
    tx = LINKS[name]()
    with pytest.raises(jssl.InputError, match="orthonormalize"):
        tx.init(jnp.asarray(X) * 1.01)
    with pytest.raises(jssl.InputError, match=r"exchange row_axis and col_axis.*orthonormalize"):
        tx.init(jnp.asarray(X.T))
    with pytest.raises(jssl.InputError, match="at least two axes"):
        tx.init(jnp.ones(3))
    state = tx.init(jnp.asarray(X))
    with pytest.raises(ValueError, match="params"):
        tx.update(jnp.asarray(X), state)


def test_a_start_just_off_the_manifold_is_accepted_and_pulled_back():
    start = X * (1 + 1e-4)
    assert Stiefel().error(run(stiefel_sgd(0.1), x=start)) < 1e-14


def test_unknown_names_are_refused():
    with pytest.raises(jssl.InputError, match="unknown retraction 'cayley'"):
        retract(Stiefel(), "cayley")
    with pytest.raises(jssl.InputError, match="unknown second moment"):
        stiefel_adam(0.1, second_moment="row")


@pytest.mark.float32
def test_parameters_in_16_bits_warn_and_stay_near():
    x = jnp.asarray(X, jnp.bfloat16)
    tx = stiefel_adam(0.1)
    with pytest.warns(UserWarning, match="float32 masters"):
        state = tx.init(x)
    updates, state = tx.update(jnp.asarray(GRADIENTS[0], jnp.bfloat16), state, x)
    assert updates.dtype == jnp.bfloat16
    assert jax.tree.all(jax.tree.map(lambda leaf: leaf.dtype != jnp.float32, state))
    assert manifold_error(optax.apply_updates(x, updates), Stiefel()) < 3e-2


def test_orthonormalize_makes_a_start():
    params = {"w": jnp.asarray(RNG.normal(size=(5, 8, 3))), "b": jnp.ones(3)}
    manifold = {"w": Stiefel(), "b": None}
    assert manifold_error(params, manifold) > 1
    good = orthonormalize(params, manifold)
    assert manifold_error(good, manifold) < 1e-13
    np.testing.assert_array_equal(good["b"], params["b"])
    stiefel_sgd(0.1, manifold=manifold).init(good)


def test_a_tree_of_manifolds_leaves_free_parameters_to_optax():
    """Free leaves follow optax.adam, constrained ones the chain alone; a prefix names a subtree."""
    params = {"net": {"a": jnp.asarray(X), "b": jnp.asarray(X)}, "head": jnp.ones(4)}
    gradients = {"net": {"a": GRADIENTS[0], "b": GRADIENTS[1]}, "head": jnp.arange(4.0)}
    tx = stiefel_adam(0.1, manifold={"net": Grassmann(), "head": None})
    updates, _ = tx.update(gradients, tx.init(params), params)
    alone, plain = grassmann_adam(0.1), optax.adam(0.1)
    expected, _ = alone.update(gradients["net"], alone.init(params["net"]), params["net"])
    head, _ = plain.update(gradients["head"], plain.init(params["head"]))
    jax.tree.map(np.testing.assert_allclose, updates["net"], expected)
    np.testing.assert_allclose(updates["head"], head, rtol=1e-12)


CHAINS = {
    "descent": lambda rate: stiefel_sgd(rate, manifold=Stiefel()),
    "momentum": lambda rate: stiefel_sgd(rate, 0.9, nesterov=True, method="cholesky_qr2"),
    "canonical": lambda rate: stiefel_sgd(rate, manifold=Stiefel(metric="canonical"), method="exp"),
    "adam": lambda rate: stiefel_adam(rate, eps=1e-3, manifold=Grassmann()),
    "adam by entries": lambda rate: stiefel_adam(rate, eps=1e-3, second_moment="elementwise"),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_run_from_a_stationary_point_can_be_differentiated_twice(name):
    """At an identity and at gradient 0, against differences of the end of two steps."""
    x, weights = jnp.eye(5, 2), jax.random.normal(jax.random.key(3), (3, 5, 2))
    tx = CHAINS[name](0.1)

    @jax.jit
    def end(s):
        w = orthonormalize(x + s * weights[0], Stiefel())
        state = tx.init(w)
        for _ in range(2):  # the gradient is s times something, so 0 at s = 0
            updates, state = tx.update(s * weights[1] + s * w, state, w)
            w = optax.apply_updates(w, updates)
        return (w * weights[2]).sum()

    @jax.jit
    def derivatives(s):
        return jax.grad(end)(s), jax.jacfwd(end)(s), jax.hessian(end)(s)

    back, forward, second = derivatives(0.0)
    # Adam divides by |gradient| + eps: steps far below eps, and a bend that is sharp at 0.
    h = 1e-8 if "adam" in name else 1e-5
    above, at, below = end(h), end(0.0), end(-h)
    np.testing.assert_allclose(back, (above - below) / (2 * h), rtol=1e-4)
    np.testing.assert_allclose(forward, back, rtol=1e-9)
    assert np.isfinite(second)
    if "adam" not in name:
        np.testing.assert_allclose(second, (above - 2 * at + below) / h**2, rtol=1e-2, atol=1e-3)
