"""Wrong kinds of arguments of theory.distillation: one clear line, no raw error, no silent NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.data.moments import Moments, pairs_with_moments
from jssl.data.pairs import fixed
from jssl.errors import InputError
from jssl.losses import jepa, target_objective
from jssl.models import aligned, linear_head, linear_stack
from jssl.optim import gradient_descent
from jssl.theory import distillation
from jssl.types import Problem

pytestmark = pytest.mark.filterwarnings("error")

EYE = np.eye(2)
MOMENTS = Moments(EYE, np.diag([0.8, 0.5]), EYE)
WEIGHTS = distillation.Weights((0.1 * EYE, 0.2 * EYE), 0.1 * EYE, (EYE, EYE))
MODES = distillation.CosineModes(np.array([0.2, 0.9]), np.ones(2))
PROBLEM = Problem(
    fixed(pairs_with_moments(MOMENTS)), aligned(2, start=0.1), jepa, gradient_descent(0.1),
    target_objective(linear_stack, linear_head, jepa),
)  # fmt: skip
MODE = {"covariance": 1.0, "coefficient": 0.8}
STARTED = {**MODE, "start": 0.1}
SETTING = {"depth": 2, "objective": "jepa"}
CALLS = {
    distillation.amplitude: {"time": 1.0, **STARTED, **SETTING},
    distillation.averaged_delay: {
        "coefficient": 0.8, "start": 0.1, "rate": 10.0, "depth": 1, "share": 0.5,
    },
    distillation.averaged_tail_rate: {**MODE, "rate": 0.5, "depth": 1},
    distillation.averaged_time: {**STARTED, "rate": 0.1, "depth": 1, "share": 0.5},
    distillation.balance: {"weights": WEIGHTS, "rate_ratio": 1.0},
    distillation.check_moments: {"moments": MOMENTS},
    distillation.collapse_threshold: {**MODE, **SETTING},
    distillation.cosine_amplitudes: {
        "times": [0.0, 1.0], "start": MODES, "noise": 0.25, "decay": 0.1,
    },
    distillation.cosine_norm: {"time": 1.0, "norm": 1.0, "decay": 0.1},
    distillation.cosine_velocity: {"modes": MODES, "noise": 0.25, "decay": 0.1},
    distillation.critical_time: {**STARTED, **SETTING, "share": 0.5},
    distillation.decayed_levels: {**MODE, "decay": 0.01, **SETTING},
    distillation.decayed_time: {**STARTED, "end": 0.6, "decay": 0.05},
    distillation.descent_critical_time: {
        **STARTED, "learning_rate": 0.1, **SETTING, "share": 0.5,
    },
    distillation.direct_predictor_amplitude: {
        "time": 1.0, **STARTED, "exponent": 0.5, "scale": 1.0,
    },
    distillation.end_state: {**MODE, **SETTING},
    distillation.equal_rates: {"rate_ratio": 4.0, "depth": 2, "decay": 0.1, "target_rate": 0.1},
    distillation.final_gram: {"moments": MOMENTS, **SETTING, "dim": 1},
    distillation.held_predictor_growth: {**MODE, "predictor": 0.3, "rate": 0.2},
    distillation.iso_loss_amplitude: {"time": 1.0, **STARTED, "exponent": 0.5},
    distillation.lingering_time: {**MODE, "decay": 0.3},
    distillation.normalised_time: {"time": 1.0, "decay": 0.1},
    distillation.optimal_predictor: {"encoder": EYE, "moments": MOMENTS},
    distillation.order: {
        "covariances": [1.0, 0.5], "coefficients": [0.4, 0.8], "start": 0.1, **SETTING,
        "share": 0.5,
    },
    distillation.predict: {"problem": PROBLEM, "times": [0.0, 1.0], "key": jax.random.key(0)},
    distillation.rate_without_stop_gradient: {**MODE, "target_variance": 1.25},
    distillation.regression_modes: {"moments": MOMENTS, "count": 1},
    distillation.scalar_velocity: {"layer": 0.3, **MODE, **SETTING, "decay": 0.1},
    distillation.selected_subspace: {"moments": MOMENTS, "dim": 1, "objective": "jepa"},
    distillation.slow_target_time: {**STARTED, "rate": 1e-4, "share": 0.5},
    distillation.small_start_time: {**STARTED, **SETTING},
    distillation.stable_learning_rate: {"covariances": [1.0, 0.5], "coefficients": [0.4, 0.8]},
    distillation.takeover_rates: {
        "covariances": [1.0, 0.5], "coefficients": [0.4, 0.8], "depth": 1, "objective": "jepa",
        "decay": 0.0, "target_rate": 0.1,
    },
    distillation.target_rate: {"momentum": 0.9, "learning_rate": 0.1},
    distillation.tie: {"first": 0.3, "second": 0.8, "start": 0.05, **SETTING, "share": 0.5},
    distillation.unbalanced_end: {
        "coefficient": 0.6, "start": 0.1, "predictor_start": 0.2, "rate_ratio": 1.0,
    },
    distillation.unbalanced_time: {
        **STARTED, "predictor_start": 0.2, "predictor_end": 0.5, "rate_ratio": 3.0,
    },
    distillation.unequal_decay_end: {
        **MODE, "encoder_decay": 0.05, "predictor_decay": 0.1, "rate_ratio": 1.0,
    },
    distillation.velocity: {
        "weights": WEIGHTS, "moments": MOMENTS, "objective": "jepa", "rate_ratio": 1.0,
        "decay": 0.1, "target_rate": 0.1,
    },
}  # fmt: skip
WRONG = (
    "two", object(), 1j, [[1.0], [1.0, 2.0]], {"a": 1}, [None], b"2", np.array(["a", "b"]),
    lambda x: x, np.datetime64("2020"),
)  # fmt: skip
NUMBERS_OUT_OF_RANGE = (float("nan"), [0.1, float("nan")])
OPTIONAL = {"dim", "count", "target_rate"}
"""Arguments of which some functions take None."""
NAN_STAYS = (
    distillation.amplitude, distillation.collapse_threshold, distillation.critical_time,
    distillation.descent_critical_time, distillation.end_state, distillation.order,
)  # fmt: skip
"""Their covariance and coefficient may be NaN, as their docstrings say."""
BROKEN = {
    "moments": [MOMENTS._replace(**{k: x}) for k in ("context", "cross") for x in (*WRONG, None)],
    "weights": [
        *(WEIGHTS._replace(layers=x) for x in (None, (), (1.0,), (EYE, np.ones((3, 3))), EYE, "x")),
        *(
            WEIGHTS._replace(predictor=x)
            for x in (None, 1.0, np.ones((2, 3)), np.ones(2), 1j * EYE)
        ),
        *(WEIGHTS._replace(target=x) for x in ((), (EYE,), (EYE, np.ones((1, 2))), "x")),
    ],
    "modes": [
        *(MODES._replace(predictor=x) for x in (*WRONG, None, -EYE[0], [np.nan, 1.0])),
        *(MODES._replace(encoder=x) for x in (*WRONG, None, -EYE[0], [np.inf, 1.0], np.ones(3))),
        (EYE[0],),
        (EYE[0], EYE[1]),
        distillation.CosineModes(1.0, 1.0),
    ],
    "problem": [PROBLEM._replace(**{k: 3}) for k in ("pairs", "model", "optimiser", "objective")],
    "times": [5.0, [], [[1.0, 2.0]], [-1.0], [np.inf]],
    "key": [0, np.zeros(2, np.uint32), jax.random.PRNGKey(0), jax.random.split(jax.random.key(0))],
    "decay": [-1.0, np.inf],
    "rate_ratio": [0.0, -1.0, np.inf],
    "target_rate": [-1.0],
    "objective": [np.array(["jepa", "mae"]), np.ones(2), ["jepa"], ("jepa",), 1],
    "depth": [1.5, 0, True, [1], 257],
    "share": [0.0, 1.0, -1.0],
    "encoder": [np.ones((2, 2)), np.zeros((1, 2)), np.nan * EYE, np.ones((3, 2)), np.ones(2)],
}
BROKEN["start"] = BROKEN["modes"]
PARTS = [(call, name) for call, given in CALLS.items() for name in given]


def wrong_values(call, name):
    given = CALLS[call][name]
    wrong = list(WRONG) + ([] if name in OPTIONAL else [None])
    may_be_nan = call in NAN_STAYS and name.startswith("co")
    wrong += [] if may_be_nan else NUMBERS_OUT_OF_RANGE
    if name != "start" or isinstance(given, distillation.CosineModes):
        wrong += BROKEN.get(name, [])
    elif name == "start":
        wrong += [0.0, -0.1, np.inf]
    return wrong


def test_every_public_function_is_called():
    names = {n for n in dir(distillation) if callable(getattr(distillation, n)) and n[0].islower()}
    assert names == {call.__name__ for call in CALLS}


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_the_calls_are_valid(call):
    call(**CALLS[call])


@pytest.mark.parametrize(("call", "name"), PARTS, ids=lambda part: getattr(part, "__name__", part))
def test_what_is_no_such_argument_is_refused_in_one_line(call, name):
    for value in wrong_values(call, name):
        with pytest.raises(InputError) as refused:
            call(**(CALLS[call] | {name: value}))
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "call",
    [call for call, given in CALLS.items() if {"covariance", "coefficient"} & set(given)],
    ids=lambda call: call.__name__,
)
def test_numbers_of_half_precision_are_numbers(call):
    """No cast of a bound to float16 overflows, and the result is that of the same number."""
    half = {k: np.float16(x) if isinstance(x, float) else x for k, x in CALLS[call].items()}
    wide = {k: float(x) if isinstance(x, np.float16) else x for k, x in half.items()}
    for a, b in zip(*map(jax.tree.leaves, (call(**half), call(**wide))), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        call for call in CALLS
        if {"covariance", "coefficient", "momentum", "rate_ratio"} & set(CALLS[call])
        and call not in (distillation.averaged_time, distillation.balance, distillation.velocity)
    ],
    ids=lambda call: call.__name__,
)  # fmt: skip
def test_traced_numbers_pass(call):
    given = CALLS[call]
    numbers = {k: x for k, x in given.items() if isinstance(x, float)}
    traced = jax.jit(lambda x: call(**(given | x)))(numbers)
    for a, b in zip(*map(jax.tree.leaves, (traced, call(**given))), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_traced_weights_pass():
    given = {"objective": "jepa", "rate_ratio": 2.0, "decay": 0.1, "target_rate": 0.1}
    found = jax.jit(lambda w, m: distillation.velocity(w, m, **given))(WEIGHTS, MOMENTS)
    expected = distillation.velocity(WEIGHTS, MOMENTS, **given)
    for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    moved = jax.jit(distillation.cosine_velocity)(MODES, 0.25, jnp.array(0.1))
    known = distillation.cosine_velocity(MODES, 0.25, 0.1)
    np.testing.assert_allclose(moved.predictor, known.predictor, rtol=1e-12)
