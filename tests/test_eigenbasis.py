"""A problem in the eigenbasis of Gamma is the problem, and others are recognised as others."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jssl
from jssl import losses, models
from jssl.data import pairs
from jssl.eigenbasis import Basis, agrees, basis_of, cross_moment, in_eigenbasis, is_quadratic
from jssl.optim import gradient_descent

RNG = np.random.default_rng(0)
FIRST = RNG.normal(size=(30, 8))
SECOND = FIRST + 0.3 * RNG.normal(size=FIRST.shape)
LINEARIZED = "barlow_twins_linearized"


def problem(loss=LINEARIZED, rule=None, model=None, views=(FIRST, SECOND)):
    fixed = pairs.fixed(jssl.Pairs(*map(jnp.asarray, views)))
    loss = losses.get(loss) if isinstance(loss, str) else loss
    return jssl.Problem(fixed, model or models.linear(8, 3), loss, rule or gradient_descent(0.01))


def of_c(za, zb):
    """A loss of C that is no loss of jssl."""
    half = za.T @ zb / len(za)
    return jnp.sum(jnp.abs(half + half.T) ** 3) + jnp.trace(half) ** 2


@pytest.mark.parametrize(
    ("loss", "alone"),
    [
        (LINEARIZED, True),
        (of_c, True),
        ("barlow_twins", False),  # standardises
        ("vicreg", False),
        ("spectral_contrastive", False),  # depends on the second moment of the views too
        ("info_nce", False),
        (lambda za, zb: ((za - zb) ** 2).mean(), False),
    ],
)
def test_losses_of_c_alone_are_recognised(loss, alone):
    asked = problem(loss)
    assert agrees(asked, basis_of(asked)) is alone


@pytest.mark.parametrize(
    ("rule", "commutes"),
    [
        (optax.sgd(0.1, momentum=0.9, nesterov=True), True),
        (optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1)), True),
        (optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.1)), True),
        (optax.adam(0.1), False),
        (optax.sgd(optax.linear_schedule(0.1, 0.0, 10)), True),
        (optax.sign_sgd(0.1), False),
    ],
)
def test_optimisers_that_commute_with_rotations_are_recognised(rule, commutes):
    asked = problem(rule=rule)
    assert agrees(asked, basis_of(asked)) is commutes


def test_other_models_and_pairs_have_no_basis():
    assert basis_of(problem(model=models.linear(8, 3, bias=True))) is None
    assert basis_of(problem(model=models.mlp(8, 3, width=4))) is None
    fresh = problem()._replace(pairs=lambda key: jssl.Pairs(FIRST, SECOND))
    assert basis_of(fresh) is None
    assert basis_of(problem(views=(FIRST.astype(int), SECOND.astype(int)))) is None
    assert basis_of(problem(views=(FIRST * np.nan, SECOND))) is None
    nonlinear = models.linear(8, 3)
    nonlinear = nonlinear._replace(apply=lambda params, x: jnp.tanh(x @ params["weight"].T))
    asked = problem(model=nonlinear)
    assert agrees(asked, basis_of(asked)) is False


@pytest.mark.parametrize(
    ("loss", "quadratic"),
    [
        (LINEARIZED, True),
        (losses.get(LINEARIZED, redundancy=0.3), True),
        (of_c, False),
        (lambda za, zb: jnp.trace(za.T @ zb / len(za)) ** 2, False),  # couples entries
        (lambda za, zb: jnp.trace(za.T @ zb / len(za)), True),
        (lambda za, zb: jnp.log(jnp.sum(za * zb)), False),  # not finite at 0
    ],
)
def test_losses_that_are_quadratic_in_each_entry_are_recognised(loss, quadratic):
    assert is_quadratic(problem(loss)) is quadratic


@pytest.mark.parametrize("quadratic", [False, True])
@pytest.mark.parametrize("rule", [gradient_descent(0.02), optax.sgd(0.02, momentum=0.9)])
def test_training_in_the_basis_is_training(rule, quadratic):
    asked = problem(losses.get(LINEARIZED, redundancy=0.5), rule, models.linear(8, 3, scale=0.1))
    basis = basis_of(asked)
    basis = Basis(basis.values, basis.vectors, quadratic=quadratic)
    reduced = in_eigenbasis(asked, basis)
    key = jax.random.key(3)
    plain, other = (
        jax.jit(jssl.run(p, [0, 1, 50, 400], see))(key).observables
        for p, see in ((asked, None), (reduced.problem, reduced.observe))
    )
    for name, values in plain.items():
        np.testing.assert_allclose(other[name], values, rtol=1e-9, atol=1e-12)
    assert plain["loss"][-1] < 0.1 * plain["loss"][0]


def test_the_moment_of_the_basis_has_the_gradient_of_automatic_differentiation():
    v, values = RNG.normal(size=(3, 5)), RNG.normal(size=5)
    slope = RNG.normal(size=(3, 3))  # not symmetric, as that of a loss may be

    def of(moment):
        return jax.grad(lambda v: jnp.sum(slope * moment(v)))(jnp.asarray(v))

    expected = of(lambda v: (v * values) @ v.T)
    np.testing.assert_allclose(of(lambda v: cross_moment(v, values)), expected, rtol=1e-12)
