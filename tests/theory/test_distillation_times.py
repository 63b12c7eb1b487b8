"""Critical times, curves and the order of modes against quadrature and the integrated flow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.special
from distillation_oracles import integrate_matrices, orthogonal, scalar_time

from jssl.data.moments import Moments
from jssl.errors import InputError
from jssl.models import aligned
from jssl.theory import distillation

KNOWN = [
    ("jepa", 1, 0.01, 0.3, 104.5576528),
    ("jepa", 1, 0.01, 0.8, 102.9618098),
    ("mae", 1, 0.01, 0.3, 3.453710945),
    ("mae", 1, 0.01, 0.8, 3.944229762),
    ("jepa", 2, 0.05, 0.3, 3368.250787),
    ("jepa", 2, 0.05, 0.8, 2940.184994),
    ("mae", 2, 0.05, 0.3, 17.20509390),
    ("mae", 2, 0.05, 0.8, 17.98596653),
    ("jepa", 3, 0.1, 0.3, 28385.38293),
    ("jepa", 3, 0.1, 0.8, 23721.75876),
    ("mae", 3, 0.1, 0.3, 46.56500670),
    ("mae", 3, 0.1, 0.8, 47.90046186),
]
EVERY = pytest.mark.parametrize("objective", ["jepa", "mae"])


def speed(objective, lam, rho, depth):
    if objective == "jepa":
        return lambda w: w ** (2 * depth) * (lam - lam / rho * w)
    return lambda w: w**depth * (lam - lam / rho * w ** (depth + 1))


@pytest.mark.parametrize(("objective", "depth", "start", "rho", "time"), KNOWN)
def test_critical_times_are_the_known_answers(objective, depth, start, rho, time):
    found = distillation.critical_time(1.0, rho, start, depth=depth, objective=objective)
    np.testing.assert_allclose(found, time, rtol=2e-9)


@EVERY
@pytest.mark.parametrize("depth", [1, 2, 3, 5, 12])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_critical_times_are_the_integral_of_the_flow(objective, depth, share):
    lam, rho, start = 1.3, 0.6, 0.04
    end = rho if objective == "jepa" else rho ** (1 / (depth + 1))
    if start >= share * end:
        start = share * end / 3
    found = distillation.critical_time(
        lam, rho, start, depth=depth, objective=objective, share=share
    )
    expected = scalar_time(speed(objective, lam, rho, depth), start, share * end)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@EVERY
@pytest.mark.parametrize("depth", [1, 2])
def test_an_aligned_matrix_flow_follows_the_modes(objective, depth):
    """Orthogonal layers, not the identity; rho falls with lambda, so nothing is taken over."""
    rng = np.random.default_rng(depth)
    lam, rho, start = np.array([1.0, 0.6, 0.5]), np.array([0.7, 0.5, 0.3]), 0.2
    basis = orthogonal(rng, 3)
    sx, syx = (basis.T @ np.diag(d) @ basis for d in (lam / rho, lam))
    turns = [orthogonal(rng, 3) for _ in range(depth)]
    whole = np.eye(3)
    for turn in turns:
        whole = turn @ whole
    v = start * (np.eye(3) if objective == "jepa" else whole.T)
    times = np.array([3.0, 10.0])
    states = integrate_matrices([start * u for u in turns], v, sx, syx, times, objective)
    expected = distillation.amplitude(
        times[:, None], lam, rho, start, depth=depth, objective=objective
    )
    for (layers, v, _), w in zip(states, np.asarray(expected), strict=True):
        encoder = layers[0]
        for layer in layers[1:]:
            encoder = layer @ encoder
        sizes = np.linalg.norm(encoder @ basis.T, axis=0)
        np.testing.assert_allclose(sizes, w**depth, rtol=1e-7)
        np.testing.assert_allclose(np.linalg.svd(v)[1], np.sort(w)[::-1], rtol=1e-7)


@EVERY
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_curve_passes_its_critical_times(objective, depth):
    lam, rho, start = 0.8, 0.7, 0.05
    shares = jnp.array([0.2, 0.5, 0.9, 0.9999])
    end = distillation.end_state(lam, rho, depth=depth, objective=objective).layer
    times = distillation.critical_time(
        lam, rho, start, depth=depth, objective=objective, share=shares
    )
    w = distillation.amplitude(times, lam, rho, start, depth=depth, objective=objective)
    np.testing.assert_allclose(w / end, shares, rtol=1e-10)


def test_the_curve_of_one_layer_is_that_of_wrights_omega_function():
    times, lam, rho, start = np.linspace(0, 300, 31), 1.3, 0.6, 0.05
    y = rho / start - 1
    expected = rho / (1 + scipy.special.wrightomega(y + np.log(y) - lam * rho * times).real)
    np.testing.assert_allclose(distillation.amplitude(times, lam, rho, start), expected, rtol=1e-11)
    known = distillation.amplitude(20.0, lam, rho, jnp.array([0.05]))
    np.testing.assert_allclose(known, [0.5454328877], rtol=1e-9)


def test_the_curve_of_a_masked_autoencoder_of_one_layer_is_logistic():
    times, lam, rho, start = np.linspace(0, 20, 21), 1.3, 0.6, 0.05
    square = rho / (1 + (rho / start**2 - 1) * np.exp(-2 * lam * times))
    found = distillation.amplitude(times, lam, rho, start, objective="mae")
    np.testing.assert_allclose(found**2, square, rtol=1e-11)


@EVERY
def test_the_curve_has_the_slope_of_the_flow(objective):
    lam, rho, start = 0.9, 0.5, 0.1

    def curve(t):
        return distillation.amplitude(t, lam, rho, start, depth=2, objective=objective)

    for time in (1.0, 8.0):
        slope = jax.grad(curve)(time)
        w = float(curve(time))
        np.testing.assert_allclose(slope, speed(objective, lam, rho, 2)(w), rtol=1e-9)


@EVERY
@pytest.mark.parametrize("depth", [1, 2])
def test_descent_is_delayed_by_its_step(objective, depth):
    lam, rho, start = 1.0, 0.7, 0.15
    end = rho if objective == "jepa" else rho ** (1 / (depth + 1))
    rest = []
    for lr in (0.2, 0.1):
        w, steps = start, 0
        while w < end / 2:
            w, steps = w + lr * speed(objective, lam, rho, depth)(w), steps + 1
        settings = {"depth": depth, "objective": objective, "share": w / end}
        found = distillation.descent_critical_time(lam, rho, start, lr, **settings)
        flow = distillation.critical_time(lam, rho, start, **settings)
        assert abs(lr * steps - float(found)) < 0.1 * abs(float(found - flow))
        rest.append(abs(lr * steps - float(found)))
    assert rest[1] < 0.3 * rest[0]  # second order


@EVERY
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_leading_terms_are_those_of_a_vanishing_start(objective, depth):
    exact, leading = [], []
    for start in (1e-3, 1e-4):
        settings = {"depth": depth, "objective": objective}
        exact.append(float(distillation.critical_time(0.7, 0.4, start, **settings)))
        leading.append(float(distillation.small_start_time(0.7, 0.4, start, **settings)))
    rest = [abs(a / b - 1) for a, b in zip(exact, leading, strict=True)]
    assert rest[1] < 0.8 * rest[0]
    assert rest[1] < (0.12 if objective == "mae" and depth == 1 else 1e-3)


def test_the_leading_time_of_jepa_does_not_contain_rho():
    times = np.asarray(distillation.critical_time(1.0, jnp.array([0.2, 0.9]), 1e-5, depth=2))
    np.testing.assert_allclose(times * 3 * 1e-15, 1.0, rtol=1e-3)


def test_equal_covariances_are_learned_by_rho_and_the_objectives_order_them_oppositely():
    rho = jnp.array([0.3, 0.8])
    jepa = distillation.critical_time(1.0, rho, 0.05, depth=2)
    mae = distillation.critical_time(1.0, rho, 0.05, depth=2, objective="mae")
    np.testing.assert_allclose(jepa[0] - jepa[1], 428.06579, rtol=1e-7)
    np.testing.assert_allclose(mae[0] - mae[1], -0.78087263, rtol=1e-7)


@pytest.mark.parametrize(("depth", "zero"), [(2, 0.9684206298), (3, 0.9129931871)])
def test_masked_autoencoders_lose_their_order_at_the_zero_of_psi(depth, zero):
    """At this share the gap of two modes of equal covariance vanishes with the start."""

    def gap(share):
        times = distillation.critical_time(
            1.0, jnp.array([0.3, 0.8]), 1e-4, depth=depth, objective="mae", share=share
        )
        return float(times[0] - times[1])

    found = scipy.optimize.brentq(gap, zero - 0.01, zero + 0.01, xtol=1e-12)
    np.testing.assert_allclose(found, zero, rtol=1e-6)


@pytest.mark.parametrize(
    ("start", "depth", "value"),
    [
        (0.001, 1, 1.0064),
        (0.001, 2, 1.0031),
        (0.001, 10, 1.0022),
        (0.01, 1, 1.0155),
        (0.01, 3, 1.0273),
        (0.03, 1, 0.9742),
        (0.03, 2, 1.1006),
        (0.03, 5, 1.0795),
        (0.1, 3, 1.1966),
    ],
)
def test_the_window_of_jepa_closes_with_the_start_and_not_with_depth(start, depth, value):
    np.testing.assert_allclose(distillation.tie(0.3, 0.8, start, depth=depth), value, atol=6e-5)


def test_ties_are_where_two_times_are_equal():
    for objective, value in (("jepa", 1.145591449), ("mae", 0.95658)):
        ratio = distillation.tie(0.3, 0.8, 0.05, depth=2, objective=objective)
        np.testing.assert_allclose(ratio, value, rtol=1e-5)
        times = [
            scalar_time(
                speed(objective, lam, rho, 2),
                0.05,
                (rho if objective == "jepa" else rho ** (1 / 3)) / 2,
            )
            for lam, rho in ((float(ratio), 0.3), (1.0, 0.8))
        ]
        np.testing.assert_allclose(times[0], times[1], rtol=1e-9)


def test_order_says_what_is_not_learned_and_what_is_taken_over():
    found = distillation.order([1.0, 0.5, -0.1], [0.4, 0.8, -0.2], 0.003)
    assert found.modes.tolist() == [0, 1]
    assert found.disturbed.tolist() == [False, True, False]
    assert np.isposinf(found.times[2])
    assert [line.split(":")[0] for line in found.caveats] == [
        "Mode 3 is not learned",
        "Mode 2 arrives before its critical time",
    ]
    quiet = distillation.order([1.0, 0.5], [0.8, 0.4], 0.003)
    assert quiet.caveats == ()


def test_times_are_infinite_or_undefined_where_they_should_be():
    found = distillation.critical_time(
        jnp.array([0.0, -1.0, 1.0, 1.0]),
        jnp.array([0.5, -0.5, 0.5, 0.5]),
        jnp.array([0.1, 0.1, 0.3, 0.1]),
    )
    assert np.isposinf(found[:2]).all()
    assert np.isnan(found[2])
    assert np.isfinite(found[3])
    slopes = jax.grad(lambda x: distillation.critical_time(x, 0.5, 0.1)[0])(jnp.array([1.0, -1.0]))
    assert np.isfinite(slopes).all()


@pytest.mark.float32
def test_single_precision_has_single_precision():
    for objective, depth, start, rho, time in KNOWN:
        found = distillation.critical_time(
            jnp.float32(1), jnp.float32(rho), start, depth=depth, objective=objective
        )
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, time, rtol=3e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 0}, "depth must be a whole number in \\[1, 256\\]"),
        ({"depth": 1.5}, "depth must be a whole number in \\[1, 256\\]"),
        ({"objective": "jeppa"}, "did you mean 'jepa'"),
        ({"share": 1.0}, "share must lie between 0 and 1"),
        ({"start": 0.0}, "start must be positive"),
        ({"start": -0.1}, "start must be positive"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings, message):
    start = settings.pop("start", 0.1)
    with pytest.raises(InputError, match=message) as caught:
        distillation.critical_time(1.0, 0.5, start, **settings)
    assert "\n" not in str(caught.value)
    if not {"share"} & set(settings):
        with pytest.raises(InputError, match=message):
            distillation.order([1.0], [0.5], start, **settings)
        with pytest.raises(InputError, match=message):
            distillation.amplitude(1.0, 1.0, 0.5, start, **settings)


@pytest.mark.parametrize("bad", ["a", None, 1j, [[1.0], [1.0, 2.0]]])
@pytest.mark.parametrize("name", ["covariance", "coefficient", "start", "share"])
def test_what_is_no_number_is_refused(name, bad):
    settings = {"covariance": 1.0, "coefficient": 0.6, "start": 0.1} | {name: bad}
    with pytest.raises(InputError, match="real numbers"):
        distillation.critical_time(**settings)


def test_shapes_that_do_not_fit_together_are_refused():
    with pytest.raises(InputError, match=r"\(2,\), \(3,\)"):
        distillation.critical_time(np.ones(2), np.ones(3), 0.1)


@pytest.mark.parametrize(("covariance", "coefficient"), [(np.nan, 0.6), (1.0, np.nan)])
def test_an_unknown_covariance_is_not_taken_for_a_mode_that_is_never_learned(
    covariance, coefficient
):
    assert np.isnan(distillation.critical_time(covariance, coefficient, 0.1))
    assert np.isnan(distillation.collapse_threshold(covariance, coefficient))
    assert np.isnan(distillation.end_state(covariance, coefficient).layer)


def test_takeover_rates_take_lists():
    found = distillation.takeover_rates([1.0, 0.5], [0.6, 0.7])
    expected = distillation.takeover_rates(np.array([1.0, 0.5]), np.array([0.6, 0.7]))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.float32
@EVERY
def test_at_large_depth_a_time_overflows_only_where_it_is_too_large_itself(objective):
    """At depth 200 the powers of a share do not fit in float32, while a time may."""
    given = {"depth": 200, "objective": objective}
    never = distillation.critical_time(1.0, 0.3, 0.01, **given)
    assert (never.dtype, bool(jnp.isposinf(never))) == (jnp.float32, True)
    start, share = (1.2, 0.5) if objective == "jepa" else (0.98, 0.995)
    end = 3.0 if objective == "jepa" else 3.0 ** (1 / 201)
    found = distillation.critical_time(1.0, 3.0, start, share=share, **given)
    flow = speed(objective, 1.0, 3.0, 200)
    expected = scalar_time(flow, start, share * end)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    early = distillation.amplitude(jnp.array([0.0, 1.0]), 1.0, 0.3, 0.01, **given)
    np.testing.assert_allclose(early, 0.01, rtol=1e-5)


@pytest.mark.parametrize("depth", [257, 10**5, 2**62])
@pytest.mark.parametrize(
    "call",
    [
        lambda depth: distillation.order([1.0, 0.5], [0.3, 0.5], 0.05, depth=depth),
        lambda depth: distillation.amplitude(1.0, 1.0, 0.5, 0.05, depth=depth),
        lambda depth: distillation.decayed_levels(1.0, 0.5, 0.01, depth=depth),
        lambda depth: distillation.final_gram(Moments(np.eye(2), np.eye(2) / 2), depth=depth),
        lambda depth: distillation.equal_rates(2.0, depth=depth),
        lambda depth: distillation.averaged_time(1.0, 0.5, 0.05, 0.1, depth=depth),
        lambda depth: distillation.averaged_delay(0.5, 0.05, 0.1, depth=depth),
        lambda depth: distillation.averaged_tail_rate(1.0, 0.5, 0.1, depth=depth),
        lambda depth: aligned(2, depth=depth),
    ],
)
def test_a_depth_above_the_bound_is_refused_at_once(call, depth):
    with pytest.raises(InputError, match=r"depth must be a whole number in \[1, 256\]; got \d+$"):
        call(depth)


def test_order_tells_what_is_late_from_what_is_not_learned():
    found = distillation.order([1.0, 0.5, -0.2], [0.3, 0.5, -0.1], 0.05, depth=256)
    assert found.modes.tolist() == []
    assert np.isnan(found.times[:2]).all()
    assert np.isposinf(found.times[2])
    assert ["covariance -0.2 is not positive" in line for line in found.caveats] == [1, 0, 0]
    assert all("later than the largest number of float64" in line for line in found.caveats[1:])


@pytest.mark.parametrize(
    ("covariance", "coefficient", "why"),
    [
        (1.0, -0.3, "regression coefficient -0.3 is not positive"),
        (1.0, 0.0, "regression coefficient 0 is not positive"),
        (-1.0, 0.3, "covariance -1 is not positive"),
        (-1.0, -0.3, "covariance -1 is not positive"),
        (np.nan, 0.3, "covariance nan or regression coefficient 0.3 is not finite"),
        (1.0, np.nan, "covariance 1 or regression coefficient nan is not finite"),
        (-1.0, np.nan, "covariance -1 or regression coefficient nan is not finite"),
        (np.inf, 0.3, "covariance inf or regression coefficient 0.3 is not finite"),
        (1.0, 0.01, "starts at its share of the end or above"),
    ],
)
def test_order_names_the_reason_why_a_mode_has_no_time(covariance, coefficient, why):
    found = distillation.order([covariance, 0.5], [coefficient, 0.5], 0.05)
    assert found.modes.tolist() == [1]
    assert why in found.caveats[0]
    assert len(found.caveats) == 1
