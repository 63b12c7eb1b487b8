"""The error of debiased CKA: against leaving each point out, and against its spread over draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.diagnostics import cka, debiased_cka
from jssl.errors import InputError

RNG = np.random.default_rng(0)


def related(n, share, draws=RNG):
    """Return two sets of points whose signals agree by a share."""
    a, b = draws.normal(size=(2, n, 6)) * np.array([3.0, 2, 1, 1, 1, 1])
    return a + 1, share * a[:, ::-1] @ np.diag([1.0, 2, 1, 1, 1, 3]) + b


@pytest.mark.parametrize("share", [0.0, 0.3, 3.0])
def test_the_error_is_the_jackknife_over_points(share):
    a, b = related(400, share)
    without = [cka(np.delete(a, i, 0), np.delete(b, i, 0), debiased=True) for i in range(len(a))]
    n = len(a)
    expected = np.sqrt((n - 1) / n * np.sum((without - np.mean(without)) ** 2))
    found = debiased_cka(a, b)
    np.testing.assert_allclose(found.value, cka(a, b, debiased=True), rtol=1e-12)
    np.testing.assert_allclose(found.error, expected, rtol=1e-9)


@pytest.mark.parametrize("columns", [3, 90])
def test_the_jackknife_of_more_columns_than_rows_is_exact_as_well(columns):
    x = RNG.normal(size=(60, 5))
    a = x @ RNG.normal(size=(5, columns)) + 0.1 * RNG.normal(size=(60, columns))
    b = np.tanh(x @ RNG.normal(size=(5, 70))) + 7
    left = [np.delete(np.arange(60), i) for i in range(60)]
    values = np.array([cka(a[i], b[i], debiased=True) for i in left])
    found = debiased_cka(a, b)
    assert found.value == pytest.approx(float(cka(a, b, debiased=True)), abs=1e-12)
    assert found.error == pytest.approx(np.sqrt(59 / 60) * np.std(values) * 60**0.5, rel=1e-9)


def test_unrelated_wide_embeddings_have_a_cka_of_zero_within_an_error_too_large_by_up_to_two():
    a, b = np.random.default_rng(2).normal(size=(2, 100, 100, 80))
    found = debiased_cka(a, b)
    assert abs(found.value.mean()) < 4 * found.value.std() / 10
    assert 1 < found.error.mean() / found.value.std() < 2.2


def test_nearly_constant_embeddings_have_no_cka_or_no_error():
    a, b = RNG.normal(size=(2, 60, 3))
    apart = np.arange(60)[:, None]
    for equal in (np.ones((60, 3)), np.where(apart < 1, a, a[-1])):
        assert np.isnan(debiased_cka(equal, b)).all()
        assert np.isnan(cka(equal, b, debiased=True))
    two = debiased_cka(np.where(apart < 2, a, a[-1]), b)
    assert np.isfinite(two.value)
    assert np.isnan(two.error)


@pytest.mark.parametrize(
    ("share", "low", "high"), [(3.0, 0.9, 1.1), (0.5, 0.9, 1.1), (0.0, 1, 1.5)]
)
def test_the_error_is_the_spread_over_draws_and_too_large_where_nothing_is_shared(share, low, high):
    draws = np.random.default_rng(1)
    a, b = (
        np.stack(z) for z in zip(*(related(300, share, draws) for _ in range(400)), strict=True)
    )
    found = debiased_cka(a, b)
    ratio = np.sqrt(np.mean(found.error**2)) / np.std(found.value)
    slack = 3.9 / np.sqrt(2 * 400)  # of a standard deviation from 400 draws
    assert low * (1 - slack) < ratio < high * (1 + slack)
    if not share:
        assert abs(found.value.mean()) < 3.9 * found.value.std() / 20


@pytest.mark.float32
def test_float32_has_the_error_of_float64_for_many_points():
    a, b = related(100_000, 1.0)
    wide, narrow = debiased_cka(a, b), debiased_cka(jnp.float32(a), jnp.float32(b))
    np.testing.assert_allclose(narrow, wide, rtol=1e-3)


def test_an_equal_embedding_has_no_error_and_few_points_are_refused():
    a, _ = related(50, 1.0)
    same = debiased_cka(a, 7 * a[:, ::-1])
    assert same.value == pytest.approx(1)
    assert same.error < 1e-12
    assert np.isfinite(jax.grad(lambda z: debiased_cka(z, z**2).error)(jnp.asarray(a))).all()
    with pytest.raises(InputError, match="five or more points"):
        debiased_cka(a[:4], a[:4])
