"""NumPy and JAX give the same numbers by one formula."""

import jax.numpy as jnp
import numpy as np
import pytest

from jssl import diagnostics
from jssl.formulas import lidar, ranks, sphere, steps, verdict

DRAWS = np.random.default_rng(0)
VALUES = np.sort(np.append(DRAWS.exponential(size=30), [0.0, 0.0]))[::-1]
COURSE = np.cumsum(DRAWS.exponential(size=(20, 5)) * np.arange(5, 0, -1), 0)


def _covariance(size):
    z = DRAWS.normal(size=(50, size))
    return z.T @ z / 50


BETWEEN, WITHIN = _covariance(6), _covariance(6)

CASES = {
    "entropy rank": (
        lambda: ranks.entropy_rank(VALUES, False, np),
        lambda: diagnostics.entropy_rank(jnp.asarray(VALUES)),
    ),
    "entropy rank of squares": (
        lambda: ranks.entropy_rank(VALUES, True, np),
        lambda: diagnostics.entropy_rank(jnp.asarray(VALUES), squares=True),
    ),
    "participation ratio": (
        lambda: ranks.participation_ratio(VALUES, np),
        lambda: diagnostics.participation_ratio(jnp.asarray(VALUES)),
    ),
    "power law": (
        lambda: ranks.power_law(VALUES, 1, len(VALUES), np),
        lambda: diagnostics.alpha_req(jnp.asarray(VALUES)),
    ),
    "verdict": (
        lambda: verdict.verdict(VALUES, np.array(90.0), 100, verdict.Thresholds(), np, 0.5),
        lambda: diagnostics.collapse_verdict(jnp.asarray(VALUES), 90.0, 100, directional=0.5),
    ),
    "steps": (
        lambda: steps.detect_steps(np.arange(20.0), COURSE, COURSE[-1], 0.1, 0.8, np),
        lambda: diagnostics.detect_steps(jnp.arange(20.0), jnp.asarray(COURSE)),
    ),
    "LiDAR": (
        lambda: lidar.lidar(BETWEEN, WITHIN, np.array(1e-4), np),
        lambda: diagnostics.lidar_from_covariances(jnp.asarray(BETWEEN), jnp.asarray(WITHIN)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_numpy_and_jax_agree_to_rounding(name):
    of_numpy, of_jax = (np.concatenate([*map(np.ravel, _parts(f()))]) for f in CASES[name])
    np.testing.assert_allclose(of_numpy, of_jax, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tile", [(7, 7), (7, 16), (16, 40), (60, 60), (512, 1024)])
@pytest.mark.parametrize("rows", [2, 59, 60])
@pytest.mark.parametrize("strip", [1, 5, 64])
def test_uniformity_in_numpy_is_that_of_jax(monkeypatch, tile, strip, rows):
    monkeypatch.setattr(sphere, "TILE", tile)
    monkeypatch.setattr(sphere, "STRIP", strip)
    z = DRAWS.normal(size=(rows, 5))
    seen = sphere.host_uniformity(z / np.linalg.norm(z, axis=1, keepdims=True))
    expected = diagnostics.uniformity(jnp.asarray(z))
    np.testing.assert_allclose(seen, expected, rtol=1e-12)


def test_sums_over_pairs_in_single_precision_are_within_their_rounding():
    z = DRAWS.normal(size=(1500, 40))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    wide, narrow = sphere.pair_means(z, 2.0), sphere.pair_means(z.astype(np.float32), 2.0)
    # An exponent of at most 8 from 42 products, and a sum of at most 1024 terms, to 2^-24 each.
    assert abs(narrow / wide - 1).max() < (42 * 8 + 1024) * 2**-24


def _parts(value):
    return value if isinstance(value, tuple) else (value,)
