"""Moments by chunks against NumPy at once, where naive sums lose every digit."""

import tracemalloc

import ml_dtypes
import numpy as np
import pytest

from jssl.diagnostics import cross_scatter, moments
from jssl.errors import InputError
from jssl.formulas import moments as module
from jssl.formulas.moments import gram_spectrum, scan

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("chunk", [1, 7, 100, None])
def test_moments_in_chunks_are_those_at_once(chunk):
    z = RNG.normal(size=(100, 4)) @ RNG.normal(size=(4, 4)) + 3
    seen = moments(z, chunk=chunk)
    np.testing.assert_allclose(seen.mean, z.mean(0), rtol=1e-12)
    np.testing.assert_allclose(seen.covariance, np.cov(z.T, bias=True), rtol=1e-11)
    np.testing.assert_allclose(seen.second_moment, z.T @ z / 100, rtol=1e-11)
    assert seen.points == 100


def test_a_large_mean_costs_no_digits():
    z = RNG.normal(size=(1000, 3))
    shifted = z + 2.0**30
    exact = np.cov((shifted - 2.0**30).T, bias=True)
    np.testing.assert_allclose(moments(shifted, chunk=64).covariance, exact, rtol=1e-12)
    naive = shifted.T @ shifted / 1000 - np.outer(shifted.mean(0), shifted.mean(0))
    assert abs(naive / exact - 1).max() > 1


def test_a_constant_embedding_has_no_variance_at_all():
    z = np.tile(np.array([0.1, -3.3]), (1001, 1))
    assert not moments(z, chunk=7).scatter.any()


@pytest.mark.parametrize("chunk", [1, 900, None])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.int8])
def test_sums_of_narrow_numbers_are_exact_to_rounding_in_double_precision(
    monkeypatch, dtype, chunk
):
    monkeypatch.setattr(module, "PRODUCT_BYTES", (2**12, 2**13))
    monkeypatch.setattr(module, "STRIP_BYTES", 2**10)
    z = (20 * RNG.normal(size=(2500, 6)) + 30).astype(dtype)
    seen = scan(z, chunk=chunk)
    exact = z.astype(np.longdouble)
    apart = exact - exact.mean(0)
    # Sums of n products: n eps of the sum of their sizes, here about a larger distance than apart.
    sizes = np.abs(exact - seen.origin)
    bound = 2 * len(z) * np.finfo(float).eps * (sizes.T @ sizes)
    assert (abs(seen.moments.scatter - apart.T @ apart) <= bound).all()
    assert bound.max() < 1e-11 * np.trace(seen.moments.scatter)
    expected = np.square(exact - seen.origin).sum(1).astype(float)
    np.testing.assert_allclose(seen.sizes, expected, rtol=1e-14)


def test_values_that_are_not_finite_are_seen_in_the_distances():
    z = RNG.normal(size=(50, 3)).astype(np.float16)
    z[[7, 30], [1, 2]] = np.nan, -np.inf
    seen = scan(z, chunk=7)  # the first chunk, which is the origin, is finite
    assert np.flatnonzero(~np.isfinite(seen.sizes)).tolist() == [7, 30]
    assert np.isnan(seen.moments.scatter).any()


@pytest.mark.parametrize("chunk", [3, None])
def test_cross_scatter_is_that_at_once(chunk):
    a, b = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 5))
    expected = (a - a.mean(0)).T @ (b - b.mean(0))
    found = cross_scatter(a, b, a.mean(0), b.mean(0), chunk=chunk)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_the_gram_of_few_rows_has_the_covariances_eigenvalues():
    z = RNG.normal(size=(6, 40)) + 2
    expected = np.linalg.eigvalsh(np.cov(z.T, bias=True))[::-1][:6]
    np.testing.assert_allclose(gram_spectrum(z, z.mean(0), chunk=7), expected, atol=1e-12)


def test_a_memory_map_is_never_held_whole(tmp_path):
    path = tmp_path / "z.npy"
    z = np.lib.format.open_memmap(path, "w+", np.float32, (40_000, 64))
    z[:] = RNG.normal(size=(40_000, 64))
    z.flush()
    mapped = np.load(path, mmap_mode="r")
    tracemalloc.start()
    seen = moments(mapped, chunk=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.3 * mapped.nbytes
    np.testing.assert_allclose(
        seen.covariance, np.cov(mapped.T.astype(float), bias=True), atol=1e-9
    )


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="must be"):
        moments(np.ones(3))
    with pytest.raises(InputError, match="must be"):
        moments(np.ones((0, 3)))
    with pytest.raises(InputError, match="same points"):
        cross_scatter(np.ones((3, 2)), np.ones((4, 2)), np.zeros(2), np.zeros(2))
