"""Wrong kinds of arguments of theory.isotropy and theory.highdim: one clear line, no raw error."""

import math
import time
import warnings

import jax
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.theory import highdim, isotropy

LAW = highdim.rademacher(2.0)
SETTING = highdim.OnePass(LAW, learning_rate=0.5, decay=0.2)
Q, C, S = [1.0, 0.5], [0.1, 0.2], [1e-3, 1e-3]
CALLS = {
    isotropy.convex_below: {"width": 1.0},
    isotropy.curvature: {"dim": 3, "regulariser": "bhep", "width": 1.0},
    isotropy.effective_weight: {
        "trade_off": 0.1, "samples": 8, "dim": 2, "views": 2,
    },
    isotropy.end_state: {
        "noise_shares": C, "strength": 9.0, "dim": 2, "regulariser": "bhep", "width": 1.0,
        "batch": 8,
    },
    isotropy.estimate_error: {"correlation": 0.5},
    isotropy.expected_value: {
        "eigenvalues": Q, "samples": 8, "regulariser": "bhep", "width": 1.0,
    },
    isotropy.floor: {"dim": 1, "regulariser": "sigreg", "width": 1.0, "grid": "code"},
    isotropy.grid_value: {"variance": 1.0, "grid": "code"},
    isotropy.growth_rates: {
        "variances": Q, "noises": C, "strength": 2.0, "eigenvalues": S, "regulariser": "bhep",
        "width": 1.0, "batch": 8,
    },
    isotropy.half_times: {
        "start": S, "variances": Q, "noises": [0.0, 0.0], "strength": 2.0, "level": 0.5,
        "regulariser": "bhep", "width": 1.0, "batch": 8,
    },
    isotropy.late_rates: {"dim": 3, "regulariser": "bhep", "width": 1.0},
    isotropy.lost_modes: {"noise_shares": C, "strength": 9.0, "dim": 2},
    isotropy.map_statistics: {"name": "flip", "correlation": 0.5, "parameter": 1.0},
    isotropy.mean_inverse_root: {"alpha": Q},
    isotropy.nearest_rotation_bound: {
        "misalignment": 0.1, "correlation": 0.5, "covariance_error": 0.0,
    },
    isotropy.null_variance: {"dim": 2, "samples": 8, "width": 1.0},
    isotropy.parts: {"eigenvalues": Q, "regulariser": "bhep", "width": 1.0},
    isotropy.plateau: {"dim": 3, "learned": 1, "regulariser": "bhep", "width": 0.1},
    isotropy.pooled_views_value: {
        "eigenvalues": Q, "noises": C, "samples": 8, "views": 2, "width": 1.0,
    },
    isotropy.shrunk_variance: {"samples": 8, "dim": 2, "regulariser": "bhep", "width": 1.0},
    isotropy.slice_value: {"variance": 1.0, "mean": 0.0, "width": 1.0},
    isotropy.slope: {"eigenvalues": Q, "regulariser": "bhep", "width": 1.0, "batch": 8},
    isotropy.slow_growth: {"dim": 8, "start": 1e-9, "variances": (1.0, 0.5), "strength": 1.0},
    isotropy.strength_that_keeps: {
        "noise_shares": C, "mode": 1, "regulariser": "bhep", "width": 1.0, "batch": 8,
    },
    isotropy.swap_rate: {"variances": Q, "noises": C, "held": 0, "other": 1},
    isotropy.trajectory: {
        "times": [0.0, 1.0], "start": S, "variances": Q, "noises": C, "strength": 2.0,
        "regulariser": "bhep", "width": 1.0, "batch": 8,
    },
    isotropy.truncated_value: {"variance": 1.0, "limit": 3.0},
    isotropy.usual_width: {"regulariser": "bhep", "dim": 2, "width": 1.0},
    isotropy.value: {"eigenvalues": Q, "regulariser": "bhep", "width": 1.0},
    isotropy.velocity: {
        "weight": np.eye(2), "view_cov": np.eye(2), "noise_cov": 0.1 * np.eye(2), "strength": 1.0,
        "regulariser": "bhep", "width": 1.0,
    },
    isotropy.whitened_eigenvalues: {"correlation": 0.5, "dim": 2, "degree": 2},
    highdim.chain: {
        "key": jax.random.key(0), "setting": SETTING, "dim": 9, "steps": [0, 2], "overlap": 0.3,
        "square": 1.0, "seeds": 2,
    },
    highdim.class_frame: {"classes": 3},
    highdim.collision_share: {"classes": 3, "per_class": 2},
    highdim.critical_hardness: {"classes": 4, "temperature": 1.0},
    highdim.drift: {"overlap": [0.3], "square": 1.0, "setting": SETTING},
    highdim.end_share: {"setting": SETTING, "overlap": 0.3, "square": 1.0},
    highdim.escape_rate: {"setting": SETTING, "feature": 0},
    highdim.fluctuation: {"times": [0.01], "overlap": 0.3, "square": 1.0, "setting": SETTING},
    highdim.frame_loss: {
        "classes": 4, "negatives": 2, "hardness": 1.0, "temperature": 1.0, "negative_weight": 1.0,
    },
    highdim.gradient_noise: {"overlap": [0.3], "square": 1.0, "setting": SETTING},
    highdim.independent: {"first": LAW, "second": LAW},
    highdim.learnable_signal: {"setting": SETTING},
    highdim.mean_product: {"overlap": [0.3], "square": 1.0, "setting": SETTING},
    highdim.rademacher: {"second_moment": 1.0},
    highdim.relaxation_rate: {
        "classes": 4, "hardness": 1.0, "temperature": 1.0, "negative_weight": 1.0,
    },
    highdim.selection_angle: {"first": LAW, "second": LAW},
    highdim.start_square: {"setting": SETTING},
    highdim.step_covariance: {"overlap": 0.3, "square": 1.0, "setting": SETTING},
    highdim.supervised_bound: {"classes": 4, "temperature": 1.0, "negative_weight": 1.0},
    highdim.three_points: {"second_moment": 1.0, "share": 0.5},
    highdim.trajectory: {
        "times": [0.0, 0.1], "overlap": [0.3], "square": 1.0, "setting": SETTING,
    },
    highdim.two_features: {"first": LAW, "second": LAW, "setting": SETTING},
    highdim.unsupervised_bound: {
        "classes": 4, "negatives": 2, "temperature": 1.0, "negative_weight": 1.0,
    },
    highdim.view_noise: {"setting": SETTING, "extra": 0.3, "correlation": -1.0},
}  # fmt: skip
WRONG = ("two", object(), 1j, [[1.0], [1.0, 2.0]], {"a": 1}, [None], float("nan"), b"2")
BROKEN = (
    SETTING._replace(noise="two"),
    SETTING._replace(decay=None),
    SETTING._replace(correlation="x"),
    SETTING._replace(law=None),
    SETTING._replace(law=highdim.Law(np.array([["a"]]), np.array([1.0]))),
    SETTING._replace(law=LAW._replace(points=LAW.points * np.nan)),
)
FAR = (-1.0, 0.0, math.inf, -math.inf, 1e300, -1e300, 1e-300, 1e15, 10**30, -(10**400), 2.5)
SHAPED = (
    [],
    [[[0.5]]],
    np.ones((2, 2, 2)),
    np.array(["bhep", "sigreg"]),
    np.ones(3),
    np.array(0.5),
)
"""Numbers and arrays of which some suit an argument and others do not."""
OPTIONAL = {"width", "batch", "grid", "eigenvalues", "dim"}
"""Arguments of which some functions take None."""
PARTS = [(call, name) for call, given in CALLS.items() for name in given]


def test_every_public_function_is_called():
    for module in (isotropy, highdim):
        names = {n for n in dir(module) if callable(getattr(module, n)) and n[0].islower()}
        known = {call.__name__ for call in CALLS if call.__module__.startswith(module.__name__)}
        assert names == known


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_the_calls_are_valid(call):
    call(**CALLS[call])


@pytest.mark.parametrize(("call", "name"), PARTS, ids=lambda part: getattr(part, "__name__", part))
def test_what_is_no_number_is_refused_in_one_line(call, name):
    given = CALLS[call]
    wrong = [*WRONG, *([] if name in OPTIONAL else [None]), *([7] if name == "key" else [])]
    if isinstance(given[name], highdim.OnePass):
        wrong += BROKEN
    if name == "key":
        wrong += [np.zeros(2, np.uint32), jax.random.PRNGKey(0)]
    for value in wrong:
        with pytest.raises(InputError) as refused:
            call(**(given | {name: value}))
        assert "\n" not in str(refused.value)


def finite(result):
    """Whether no number in a result is NaN; infinity is the answer of some functions."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(result)]
    return all(not np.isnan(leaf).any() for leaf in leaves if leaf.dtype.kind in "fc")


def seconds(call, given):
    """Return the seconds of a call that ends in finite or infinite numbers or in one line."""
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result = call(**given)
        except InputError as refused:
            result = str(refused)
    ended = finite(result) and "\n" not in str(result if isinstance(result, str) else "")
    return time.process_time() - begin if ended else math.nan


def far_entries(given):
    """Lists like a given one with one entry replaced."""
    if not isinstance(given, list):
        return []
    return [[*given[:-1], number] for number in (*FAR, math.nan)]


@pytest.mark.parametrize(("call", "name"), PARTS, ids=lambda part: getattr(part, "__name__", part))
def test_numbers_far_out_give_a_number_or_one_line_and_soon(call, name):
    given = CALLS[call]
    for value in [*FAR, *SHAPED, *far_entries(given[name])]:
        assert seconds(call, given | {name: value}) < 30, value


@pytest.mark.parametrize(
    "call", [call for call in CALLS if "setting" in CALLS[call]], ids=lambda call: call.__name__
)
@pytest.mark.parametrize("field", ["noise", "correlation", "negatives", "learning_rate", "decay"])
def test_settings_far_out_give_a_number_or_one_line_and_soon(call, field):
    for value in FAR:
        setting = SETTING._replace(**{field: value})
        assert seconds(call, CALLS[call] | {"setting": setting}) < 30, value
