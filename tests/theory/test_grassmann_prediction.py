"""Reading a problem and predicting it, against descent with and without the constraint."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jssl.comparison import compare
from jssl.data.pairs import fixed
from jssl.errors import InputError
from jssl.losses.linearized import (
    barlow_twins_linearized,
    linear_contrastive,
    linear_non_contrastive,
)
from jssl.manifolds import Grassmann, Stiefel
from jssl.models.linear import deep_linear, linear
from jssl.optim import (
    gradient_descent,
    grassmann_sgd,
    manifold_error,
    orthonormal_start,
    stiefel_adam,
    stiefel_sgd,
)
from jssl.simulation import run
from jssl.theory import grassmann
from jssl.types import Pairs, Problem

ROWS = Grassmann(row_axis=-1, col_axis=-2)
KEY = jax.random.key(3)
DRAWS = np.random.default_rng(0).standard_normal((3, 30, 6)) * np.array(
    [1.5, 1.2, 1, 0.6, 0.4, 0.2]
)
CLEAN = Pairs(jnp.asarray(DRAWS[0]), jnp.asarray(DRAWS[0] + 0.2 * DRAWS[1]))
TRIPLES = CLEAN._replace(negative=jnp.asarray(DRAWS[2]))


def make_problem(data=CLEAN, rate=0.01, **changes):
    loss = linear_non_contrastive if data.negative is None else linear_contrastive
    model = orthonormal_start(linear(6, 2), ROWS)
    problem = Problem(fixed(data), model, loss, grassmann_sgd(rate, manifold=ROWS))
    return problem._replace(**changes)


@pytest.mark.parametrize("pairs", [CLEAN, TRIPLES], ids=["non-contrastive", "contrastive"])
def test_prediction_is_what_constrained_descent_does_and_halves_its_error_with_the_step(pairs):
    off = []
    for rate in (0.02, 0.01):
        problem = make_problem(pairs, rate)
        seen = run(problem, np.arange(0, round(6 / rate), 5))(KEY)
        both = compare(grassmann.predict(problem, seen.t, KEY), seen)
        assert set(both.largest) == {"loss", "eigenvalues"}
        off.append([both.largest["loss"], both.largest["eigenvalues"]])
    np.testing.assert_allclose(np.divide(*off), 2, atol=0.25)
    assert max(off[1]) < 0.03


def test_prediction_of_free_descent_grows_without_bound_as_it_does():
    problem = make_problem(model=linear(6, 2), optimiser=gradient_descent(1e-4))
    seen = run(problem, np.arange(0, 5001, 1000))(KEY)
    found = grassmann.predict(problem, seen.t, KEY)
    for name in ("loss", "eigenvalues"):
        np.testing.assert_allclose(found.observables[name], seen.observables[name], rtol=5e-3)
    assert found.observables["loss"][-1] < 5 * found.observables["loss"][0] < 0
    np.testing.assert_allclose(found.step, seen.step, rtol=1e-9)


def test_angles_are_those_of_the_simulated_subspace():
    problem = make_problem(optimiser=stiefel_sgd(1e-3, manifold=Stiefel(-1, -2)))
    seen = run(problem, [0, 500], lambda params, _: params)(KEY)
    found = grassmann.predict(problem, seen.t, KEY).observables["angles"]
    c = np.asarray(grassmann.objective_matrix(CLEAN))
    best = np.linalg.eigh(c)[1][:, :2]
    for angles, weight in zip(found, seen.observables["weight"], strict=True):
        cosines = np.linalg.svd(best.T @ np.asarray(weight).T)[1]
        np.testing.assert_allclose(angles, np.sort(np.arccos(cosines)), atol=2e-3)


def test_orthonormal_start_is_on_the_manifold_and_drops_the_kernel():
    model = orthonormal_start(linear(6, 2), ROWS)
    assert manifold_error(model.init(KEY), ROWS) < 1e-12
    assert model.kernel is None
    assert "orthonormal" in model.no_kernel


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"loss": barlow_twins_linearized}, "linear_non_contrastive"),
        ({"objective": lambda *_: 0.0}, "leave out `objective`"),
        ({"model": deep_linear(6, 2)}, "orthonormal|z = W x"),
        ({"model": linear(6, 2), "optimiser": optax.adam(0.1)}, "gradient-flow time"),
        ({"optimiser": stiefel_adam(0.1, manifold=ROWS)}, "gradient-flow time"),
        ({"pairs": lambda key: Pairs(*jax.random.normal(key, (2, 5, 6)))}, "change with the key"),
        ({"model": linear(6, 2)}, "orthonormalize"),
    ],
)
def test_problems_the_theory_does_not_cover_are_refused(changes, what):
    with pytest.raises(InputError, match=what):
        grassmann.predict(make_problem(**changes), jnp.array([1.0]), KEY)


@pytest.mark.parametrize("times", [[-1.0], [np.nan], [np.inf]])
def test_times_must_be_finite_and_not_negative(times):
    with pytest.raises(InputError, match="times"):
        grassmann.predict(make_problem(), jnp.array(times), KEY)
