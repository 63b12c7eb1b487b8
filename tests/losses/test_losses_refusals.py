"""Wrong hyperparameters, predictors, targets and parameters of losses: one line that says so."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jssl import losses
from jssl.errors import InputError
from jssl.types import Pairs

Z = jax.random.normal(jax.random.key(0), (6, 3))
Y = jax.random.normal(jax.random.key(1), (6, 3))
KEY = jax.random.key(2)
OUT_OF_RANGE = [
    (losses.lejepa, "trade_off", 3),
    (losses.lejepa, "trade_off", -1.0),
    (losses.hard_info_nce, "hardness", -1.0),
    (losses.hard_info_nce, "temperature", -1.0),
    (losses.info_nce, "temperature", 0.0),
    (losses.bhep, "width", -1.0),
    (losses.vicreg, "variance", np.nan),
    (losses.barlow_twins, "redundancy", np.inf),
]


def linear(w, x):
    return x @ w.T


@pytest.mark.parametrize("made", [float, np.array, np.float32, jnp.array, jnp.bfloat16])
@pytest.mark.parametrize(("loss", "name", "number"), OUT_OF_RANGE)
def test_a_known_number_out_of_range_is_refused_in_every_form(loss, name, number, made):
    with pytest.raises(InputError, match=f"{name} must be"):
        loss(Z, Y, **{name: made(number)})


@pytest.mark.parametrize("wrong", [np.array("x"), np.array(1j), np.array(None), 10**400])
def test_what_is_no_real_number_is_no_hyperparameter(wrong):
    with pytest.raises(InputError, match="temperature must be"):
        losses.info_nce(Z, Y, temperature=wrong)


def test_a_traced_number_passes_and_gives_the_same_loss():
    loss = jax.jit(lambda t: losses.lejepa(Z, Y, trade_off=t, slices=4))
    np.testing.assert_allclose(loss(0.3), losses.lejepa(Z, Y, trade_off=0.3, slices=4), rtol=1e-5)
    known = jnp.array(0.3)
    inside = jax.jit(lambda z: losses.lejepa(z, Y, trade_off=known, slices=4))
    np.testing.assert_allclose(inside(Z), loss(0.3), rtol=1e-5)


PREDICTED = (losses.jepa, losses.iso_loss, losses.simsiam, losses.byol_regression)


@pytest.mark.parametrize("loss", [*PREDICTED, losses.hard_info_nce])
@pytest.mark.parametrize("targets", [np.array(3), jnp.array(3.0), 3, "ab", (Z,), np.ones((2, 6))])
def test_targets_are_two_arrays(loss, targets):
    with pytest.raises(InputError, match="targets must be two arrays"):
        loss(Z, Y, targets=targets)


@pytest.mark.parametrize("loss", PREDICTED)
@pytest.mark.parametrize("output", [None, 0.5, [[1.0, 2.0, 3.0]] * 6, "z"])
def test_a_predictor_returns_an_array(loss, output):
    with pytest.raises(InputError, match="the predictor's output must be an array of embeddings"):
        loss(Z, Y, predictor=lambda z: output)


PAIRS = Pairs(jnp.eye(2), jnp.eye(2))


@pytest.mark.parametrize(
    ("objective", "params", "missing"),
    [
        (losses.target_objective(linear, linear), {"online": jnp.eye(2)}, "predictor"),
        (losses.target_objective(linear), {"target": jnp.eye(2)}, "online"),
        (losses.reconstruction_objective(linear, linear), {"online": jnp.eye(2)}, "predictor"),
        (losses.direct_objective(linear), {}, "online"),
        (losses.target_objective(linear), jnp.eye(2), "online"),
    ],
)
def test_parameters_that_lack_an_entry_are_refused(objective, params, missing):
    with pytest.raises(InputError, match=f"entry '{missing}'"):
        objective(params, PAIRS, KEY)


@pytest.mark.parametrize("missing", ["online", "target"])
def test_tracking_needs_both_networks(missing):
    rule = losses.track_target(optax.sgd(1.0), decay=0.5)
    both = {"online": jnp.ones(2), "target": jnp.ones(2)}
    left = {name: value for name, value in both.items() if name != missing}
    with pytest.raises(InputError, match=f"no entry '{missing}'"):
        rule.init(left)
    with pytest.raises(InputError, match=f"no entry '{missing}'"):
        rule.update(left, rule.init(both), left)


def test_a_reconstruction_needs_pairs_and_does_not_overflow_in_half_precision():
    objective = losses.reconstruction_objective(linear, linear)
    params = {"online": jnp.eye(2), "predictor": 2 * jnp.eye(2)}
    with pytest.raises(InputError, match="must hold one row for each pair"):
        objective(params, Pairs(jnp.zeros((0, 2)), jnp.zeros((0, 2))), KEY)
    half = {name: value.astype("float16") for name, value in params.items()}
    large = 1000 * jnp.eye(2, dtype="float16")
    assert objective(half, Pairs(large, large), KEY) == 0.5 * 1000**2


def test_direct_prediction_in_half_precision_is_that_in_float32():
    objective = losses.direct_objective(linear)
    x = 2.0 * jnp.eye(2)
    plain = objective({"online": jnp.eye(2)}, Pairs(x, x), KEY)
    half = x.astype("float16")
    found = objective({"online": jnp.eye(2, dtype="float16")}, Pairs(half, half), KEY)
    np.testing.assert_allclose(found, plain, rtol=1e-3)
    for exponent in (0, 0.0, -1, jnp.array(0.0)):
        with pytest.raises(InputError, match="exponent must be positive"):
            losses.direct_objective(linear, exponent)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.sliced_objective(linear, losses.bhep), "bhep draws nothing"),
        (lambda: losses.sliced_objective(linear, losses.get("vicreg")), "has no argument `key`"),
        (lambda: losses.sliced_objective(linear, slice=8), "did you mean 'slices'"),
        (lambda: losses.sliced_objective(linear, key=KEY), "leave out key"),
        (lambda: losses.sliced_objective(linear, "lejepa"), "loss must be a function"),
        (
            lambda: losses.sliced_objective(linear)(jnp.eye(3), Pairs(Z, Y), None),
            "key must be a typed key",
        ),
    ],
)
def test_an_objective_with_new_directions_is_checked_when_it_is_made(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_an_objective_with_new_directions_takes_every_loss_that_draws():
    def own(za, zb, **options):
        return losses.sigreg(za, zb, **options)

    for loss in (losses.sigreg, losses.get("lejepa", trade_off=0.1), own):
        objective = losses.sliced_objective(linear, loss, slices=4)
        assert jnp.isfinite(objective(jnp.eye(3), Pairs(Z, Y), KEY))


@pytest.mark.parametrize("scale", [1.0, 200.0])
def test_the_slope_in_the_weight_of_negatives_at_none_is_that_of_the_formula(scale):
    """At q = 0 it is the mean of sum_j p_j exp((s_j - s+) / T); the loss is 0."""

    def loss(q):
        return losses.hard_info_nce(scale * Z, scale * Y, negative_weight=q, temperature=0.7)

    scores = losses.common.unit(Z) @ losses.common.unit(Y).T
    others = ~np.eye(6, dtype=bool)
    p = np.where(others, np.exp(scores), 0)
    p = p / p.sum(1, keepdims=True)
    away = (scores - np.diag(scores)[:, None]) / 0.7
    expected = np.mean(np.sum(p * np.exp(away), 1))
    value, slope = jax.value_and_grad(loss)(0.0)
    assert value == 0
    np.testing.assert_allclose(slope, expected, rtol=1e-5)
    np.testing.assert_allclose(jax.grad(loss)(1e-3), expected, rtol=2e-2)
    steep = jax.grad(
        lambda q: losses.hard_info_nce(Z, 1e3 * Z[::-1], negative_weight=q, score="dot")
    )
    assert jnp.isfinite(steep(0.0))
    by_views = jax.grad(lambda z: losses.hard_info_nce(z, Y, negative_weight=0.0))(Z)
    np.testing.assert_array_equal(by_views, 0)


@pytest.mark.parametrize(
    ("name", "instead"),
    [("MAE", "reconstruction_objective"), ("directpred", "direct_objective")],
)
def test_objectives_that_are_no_loss_of_two_embeddings_are_named(name, instead):
    with pytest.raises(InputError, match=f"use jssl.losses.{instead}"):
        losses.get(name)
    assert hasattr(losses, instead)


@pytest.mark.parametrize(
    ("loss", "number"), [(losses.bhep, "width"), (losses.hard_info_nce, "hardness")]
)
def test_infinite_hyperparameters_must_be_finite(loss, number):
    with pytest.raises(InputError, match="and finite; got inf"):
        loss(np.eye(3), np.eye(3), **{number: np.inf})
