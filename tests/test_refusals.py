"""What a newcomer gets wrong first is refused in one line: keys, flags, states and functions."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jssl
from jssl import losses
from jssl.data.masks import masked_moments, masked_pairs
from jssl.errors import InputError
from jssl.losses.isotropy import view_sigreg
from jssl.losses.slices import directions
from jssl.optim import gradient_descent
from jssl.theory import distillation, highdim, isotropy
from jssl.theory.highdim import OnePass, rademacher

Z = jax.random.normal(jax.random.key(0), (6, 8))
IMAGES = jnp.ones((3, 4, 4, 1))
SETTING = OnePass(rademacher(2.0))
MODEL = jssl.Model(init=lambda key: jnp.float32(0.1), apply=lambda w, x: w * x)


def problem(loss):
    pairs = jssl.Pairs(Z, Z)
    return jssl.Problem(lambda key: pairs, MODEL, loss, gradient_descent(0.05))


def chain(overlap, square):
    key = jax.random.key(0)
    return highdim.chain(key, SETTING, 100, [0], overlap=overlap, square=square, seeds=2)


CASES = {
    "typed key": {
        "sigreg": lambda: losses.get("sigreg", key=0)(Z, Z),
        "lejepa": lambda: losses.lejepa(Z, Z, key=0),
        "given slices": lambda: view_sigreg(Z, key=0, slices=Z),
        "view_sigreg": lambda: view_sigreg(Z, key=jnp.zeros(2, "uint32")),
        "directions": lambda: directions(0, 3, 2),
        "masked_pairs": lambda: masked_pairs(IMAGES)(0),
        "run": lambda: jssl.run(problem(losses.get("simclr")), [0, 1])(0),
        "chain": lambda: highdim.chain(0, SETTING, 100, [0], overlap=0.1, square=1.0, seeds=2),
    },
    "one key": {
        "directions": lambda: directions(jax.random.split(jax.random.key(0)), 3, 2),
    },
    "must be True or False": {
        "sigreg": lambda: losses.sigreg(Z, Z, unbiased="x"),
        "bhep": lambda: losses.bhep(Z, Z, unbiased={}),
        "lejepa": lambda: losses.lejepa(Z, Z, unbiased=1),
        "hard_info_nce": lambda: losses.hard_info_nce(Z, Z, weight_gradient="x"),
        "relaxation_rate": lambda: highdim.relaxation_rate(5, weight_gradient={}),
        "drift": lambda: highdim.drift([0.1], 1.0, SETTING, noise="x"),
        "trajectory": lambda: highdim.trajectory([0.0], [0.1], 1.0, SETTING, noise={}),
        "effective_weight": lambda: isotropy.effective_weight(0.1, 8, 2, mean_over_dim="x"),
        "order of batch_norm": lambda: losses.barlow_twins(Z, Z, batch_norm="x"),
        "include_positive": lambda: losses.info_nce(Z, Z, include_positive={}),
        "symmetric": lambda: losses.info_nce(Z, Z, symmetric="x"),
        "centre": lambda: losses.vicreg_squared(Z, Z, centre="x"),
    },
    "predictor must be a function": {
        "jepa": lambda: losses.jepa(Z, Z, predictor=np.eye(8)),
        "iso_loss": lambda: losses.iso_loss(Z, Z, predictor="x"),
        "simsiam": lambda: losses.simsiam(Z, Z, predictor=np.eye(8)),
    },
    "targets must be two arrays": {
        "jepa": lambda: losses.jepa(Z, Z, targets=(Z,)),
        "hard_info_nce": lambda: losses.hard_info_nce(Z, Z, targets=(Z,)),
        "an array": lambda: losses.hard_info_nce(Z, Z, targets=Z),
        "byol": lambda: losses.get("byol")(Z, Z, targets=(Z,)),
    },
    "square": {
        "too small": lambda: chain(2.0, 1.0),
        "negative": lambda: chain(0.0, -1.0),
        "in one run": lambda: chain(jnp.array([0.1, 2.0]), 1.0),
        "step_covariance": lambda: highdim.step_covariance(0.3, 0.0, SETTING),
        "at 0": lambda: highdim.step_covariance(0.0, 0.0, SETTING),
        "drift": lambda: highdim.drift([2.0], 1.0, SETTING),
    },
    "at least one row": {
        "negatives": lambda: losses.hard_info_nce(Z, Z, negatives=np.zeros((0, 8))),
    },
    "zero or not finite": {
        "zero": lambda: losses.sigreg(Z, Z, slices=np.zeros((3, 8))),
        "nan": lambda: losses.lejepa(Z, Z, slices=np.full((3, 8), np.nan)),
    },
    "decay of the target": {
        str(decay): lambda decay=decay: losses.track_target(optax.sgd(0.1), decay)
        for decay in (1.5, np.float32(1.5), np.array(2.0), "a", None, (0.9,), -0.1, np.nan)
    },
    "none of them 0": {
        "rows": lambda: masked_pairs(jnp.ones((0, 4, 4, 1))),
        "channels": lambda: masked_pairs(jnp.ones((2, 4, 4, 0))),
        "height": lambda: masked_pairs(jnp.ones((2, 0, 4, 1))),
        "moments": lambda: masked_moments(np.ones((2, 4, 4, 0))),
    },
    "decay must be a number of at least 0": {
        "velocity": lambda: distillation.scalar_velocity(0.1, 1.0, 0.5, decay=-1),
    },
    "layer must be a number of at least 0": {
        "velocity": lambda: distillation.scalar_velocity(-1, -1, -1),
    },
    "real numbers": {
        "target_rate": lambda: distillation.target_rate("a", 0.1),
        "its rate": lambda: distillation.target_rate(0.5, "a"),
        "ragged rate": lambda: distillation.target_rate([[1], [1, 2]], 0.1),
        "order": lambda: distillation.order([[1, 2], [3]], [0.1, 0.2], 0.1),
        "amplitude": lambda: distillation.amplitude([[1, 2], [3]], 1.0, 0.5, 0.1),
        "decay": lambda: distillation.scalar_velocity(0.1, 1.0, 0.5, decay=[[1, 2], [3]]),
        "takeover": lambda: distillation.takeover_rates([[1, 2], [3]], [0.1, 0.2]),
        "optimal_predictor": lambda: distillation.optimal_predictor(
            [[1, 2], [3]], jssl.data.Moments(np.eye(2), np.eye(2) / 2)
        ),
    },
    "loss of a Problem": {
        "string": lambda: jssl.run(problem("simclr"), [0, 1])(jax.random.key(0)),
    },
    "unknown loss": {"list": lambda: losses.get(["sigreg"]), "none": lambda: losses.get(None)},
}


@pytest.mark.parametrize(
    ("message", "call"),
    [
        pytest.param(message, call, id=f"{message}: {name}")
        for message, calls in CASES.items()
        for name, call in calls.items()
    ],
)
def test_it_is_refused_in_one_line(message, call):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_what_is_right_at_its_edge_passes():
    for decay in (0, 0.999, np.float32(0.5), np.array(0.9), jnp.array(0.9), lambda step: 0.9):
        losses.track_target(optax.sgd(0.1), decay)
    assert np.isfinite(chain(1.0, 1.0).square).all()
    assert np.isfinite(losses.jepa(Z[:1], Z[:1]))
    assert np.isfinite(losses.sigreg(Z, Z, key=jax.random.key(1), unbiased=np.True_))
    jax.jit(lambda key: losses.sigreg(Z, Z, key=key))(jax.random.key(0))
    jax.jit(lambda s: losses.sigreg(Z, Z, slices=s))(jnp.zeros((3, 8)))


@pytest.mark.parametrize("bad", [np.zeros(0), np.ones((2, 3)), True, None, -1.0, np.nan])
@pytest.mark.parametrize("place", range(4))
def test_the_time_under_an_averaged_target_is_of_numbers(place, bad):
    given = [1.0, 0.5, 0.1, 1.0]
    given[place] = bad
    with pytest.raises(InputError, match="must be"):
        distillation.averaged_time(*given)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_a_held_predictor_is_a_number_of_at_least_zero(bad):
    with pytest.raises(InputError, match="predictor must be"):
        distillation.held_predictor_growth(1.0, 0.5, bad, 1.0)
