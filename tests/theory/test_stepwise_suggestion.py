"""Advice on how to run a problem, judged by running it."""

import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.theory import stepwise

EIGENVALUES = np.array([1.0, 0.5, 0.2, -0.3])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_a_run_as_suggested_is_stable_and_learns_every_mode(dtype):
    advice = stepwise.suggest(jnp.diag(jnp.asarray(EIGENVALUES)), 3, dtype)
    assert advice.identifiable
    start = (advice.start_scale * np.random.default_rng(1).standard_normal((3, 4))).astype(dtype)
    gamma, w = np.diag(EIGENVALUES).astype(dtype), start
    for _ in range(advice.steps):
        w = (
            w
            - dtype(advice.learning_rate * 4)
            * (w @ gamma @ w.T - np.eye(3, dtype=dtype))
            @ w
            @ gamma
        )
    spectrum = np.linalg.eigvalsh(w @ gamma @ w.T)
    assert spectrum.min() > 0.5
    np.testing.assert_allclose(advice.learning_rate, 0.1 / 4, rtol=1e-6)


def test_the_smallest_start_follows_the_dtype_and_the_scale_of_the_data():
    gamma = jnp.diag(jnp.array([1.0, 0.2]))
    single, double = (stepwise.suggest(gamma, 1, d) for d in (jnp.float32, jnp.float64))
    np.testing.assert_allclose(single.smallest_start, 1e-3, rtol=0.03)
    np.testing.assert_allclose(double.smallest_start, 1.8e-12, rtol=0.03)
    assert single.start_scale == single.smallest_start
    np.testing.assert_allclose(double.start_scale, 1e-6)
    larger = stepwise.suggest(100 * gamma, 1, jnp.float32)
    np.testing.assert_allclose(larger.start_scale, single.start_scale / 10, rtol=1e-6)
    np.testing.assert_allclose(larger.learning_rate, single.learning_rate / 100, rtol=1e-6)
    assert larger.steps == single.steps


def test_suggestions_count_to_the_last_mode_and_say_what_is_not_learned():
    spectrum = jnp.asarray(EIGENVALUES)
    advice = stepwise.suggest(spectrum, 4, jnp.float64, start_scale=1e-5, share=0.2)
    last = -np.log(1e-10 * 0.2) / (8 * 0.2)
    np.testing.assert_allclose(advice.critical_times[2], last, rtol=1e-10)
    assert np.isinf(advice.critical_times[3])
    assert advice.steps == np.ceil((last + np.log(81) / 1.6) / 0.05)
    assert "Only 3 of 4 dimensions" in advice.message
    coarse = stepwise.suggest(spectrum, 2, jnp.float32, start_scale=1e-6)
    assert "rounding errors of float32" in coarse.message
    blurred = stepwise.suggest(jnp.array([1.0, 0.95]), 1, jnp.float64)
    assert not blurred.identifiable
    assert "not identifiable" in blurred.message


def test_a_loud_negative_mode_lowers_the_suggested_rate():
    gamma = np.array([0.1, 0.05, -5.0])
    advice = stepwise.suggest(jnp.diag(jnp.asarray(gamma)), 2, jnp.float64)
    np.testing.assert_allclose(advice.learning_rate, 0.1 / (2 * 5.0))
    w = advice.start_scale * np.random.default_rng(0).standard_normal((2, 3))
    for _ in range(advice.steps):
        w = w - advice.learning_rate * 4 * ((w * gamma) @ w.T - np.eye(2)) @ (w * gamma)
    assert np.linalg.eigvalsh((w * gamma) @ w.T).min() > 0.5


@pytest.mark.parametrize(
    ("moment", "options", "says"),
    [
        (-np.eye(2), {}, "positive"),
        (np.array([1.0, np.nan]), {}, "positive|finite"),
        (np.eye(2), {"dtype": jnp.float16}, "float16"),
        (np.eye(2), {"share": 1.5}, "share"),
        (np.eye(2), {"start_scale": 0.0}, "start_scale"),
        (np.eye(2), {"dim": 0}, "dim"),
    ],
)
def test_bad_questions_are_refused(moment, options, says):
    with pytest.raises(InputError, match=says):
        stepwise.suggest(jnp.asarray(moment), options.pop("dim", 1), **options)
