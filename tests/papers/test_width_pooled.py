"""The pooled exponent against simulated exponents with known random effects, and its claim."""

import numpy as np
import pytest
from scipy.stats import t as student

from jssl.papers.width.pooled import pooled_claim, pooled_exponent, seed_slopes

NETWORKS, QUANTITIES, SEEDS = 4, 3, 30


def _slopes(random, effect, spread):
    """Slopes of quantities whose errors have correlation .3 within a network."""
    within = np.kron(np.eye(NETWORKS), 0.7 * np.eye(QUANTITIES) + 0.3)
    noise = np.linalg.cholesky(within) @ random.normal(size=(len(within), SEEDS))
    return -0.5 + effect * random.normal(size=(len(within), 1)) + spread * noise


@pytest.mark.parametrize(("effect", "spread"), [(0.06, 0.16), (0.0, 0.16)])
def test_the_interval_is_missed_as_often_as_its_level_says(effect, spread):
    random, runs, level = np.random.default_rng(0), 2000, 0.01
    missed = 0
    for _ in range(runs):
        fit = pooled_exponent(_slopes(random, effect, spread))
        missed += abs(fit.exponent + 0.5) > fit.half_width(level)
    # an upper bound of the number of misses at 1e-4, Gaussian
    assert missed <= level * runs + 3.7 * np.sqrt(level * runs)


def test_random_effects_are_found_with_their_size():
    random = np.random.default_rng(1)
    found = [pooled_exponent(_slopes(random, 0.06, 0.16)).between ** 2 for _ in range(500)]
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found) - 0.06**2) < 3.9 * error + 0.05 * 0.06**2  # truncation at zero


def test_exponents_with_equal_errors_give_the_t_interval_of_their_mean():
    exponents = np.array([-0.4, -0.5, -0.7, -0.45])
    seeds = np.linalg.qr(np.vander(np.arange(5.0), increasing=True))[0][:, 1:].T  # of mean zero
    fit = pooled_exponent(exponents[:, None] + 0.01 * seeds)
    np.testing.assert_allclose(fit.exponent, exponents.mean())
    np.testing.assert_allclose(fit.error, exponents.std(ddof=1) / 2)
    np.testing.assert_allclose(fit.half_width(0.05), student.ppf(0.975, 3) * fit.error)


@pytest.mark.parametrize(
    ("exponent", "verdict"), [(-0.5, "holds"), (-0.25, "fails"), (-1.0, "fails"), (0.0, "fails")]
)
def test_the_claim_holds_for_the_inverse_root_alone(exponent, verdict):
    random, widths = np.random.default_rng(2), (32, 512)
    law = np.array(widths, float)[:, None] ** exponent
    distances = [(widths, law * np.exp(random.normal(size=(2, 100)))) for _ in range(12)]
    assert pooled_claim(distances).verdict == verdict


def test_slopes_are_those_of_each_seed():
    widths = np.array([16, 64, 256])
    values = widths[:, None] ** np.array([-0.5, -1.0, 0.25])
    np.testing.assert_allclose(seed_slopes(widths, values), [-0.5, -1.0, 0.25])
