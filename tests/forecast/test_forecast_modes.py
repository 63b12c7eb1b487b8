"""Modes against dense algebra, and their held-out reading against a stated population."""

import numpy as np
import pytest
import scipy.linalg

from jssl.forecast import modes

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("small", [0, 800])
def test_modes_are_those_of_the_contrastive_kernel(centred, small, monkeypatch):
    monkeypatch.setattr(modes, "_SMALL", small)
    n = 25
    x = RNG.normal(size=(2 * n, 8)) + 0.5
    x[n:] = x[:n] + 0.3 * x[n:]
    gram = x @ x.T
    h = np.eye(n) - centred * np.ones((n, n)) / n
    pairing = np.kron([[0, 1], [1, 0]], h) / (2 * n)
    root = scipy.linalg.sqrtm(gram + 1e-13 * np.eye(2 * n)).real
    expected = np.linalg.eigvalsh(root @ pairing @ root)[::-1]
    values, vectors = modes.modes_of(gram, 5, centred)
    np.testing.assert_allclose(values, expected[:5], rtol=1e-5)
    np.testing.assert_allclose(vectors.T @ gram @ vectors, np.eye(5), atol=1e-5)


def test_held_out_eigenvalues_are_unbiased_with_the_errors_that_they_claim():
    shared, found, claimed, flattered = np.array([4.0, 1.0, 0.25]), [], [], []
    for seed in range(80):
        draws = np.random.default_rng(seed)
        sample = draws.normal(size=(100, 15)) * np.sqrt(np.pad(shared, (0, 12)))
        views = np.concatenate([sample + 0.1 * draws.normal(size=(100, 15)) for _ in range(2)])
        held, errors = modes.held_out(views @ views.T, 4, False, draws)
        found.append(held)
        claimed.append(errors)
        flattered.append(modes.modes_of(views @ views.T, 4, False)[0][3])
    found = np.array(found)
    error = found.std(0, ddof=1) / np.sqrt(len(found))
    # a mode found on half of the pairs is off by the mixing with its neighbours: second order
    assert (abs(found.mean(0)[:3] - shared) < 3.9 * error[:3] + 0.03 * shared).all()
    np.testing.assert_allclose(np.mean(claimed, 0)[:3], found.std(0)[:3], rtol=0.3)
    assert abs(found[:, 3].mean()) < 3.9 * error[3] + 1e-3  # nothing is shared there
    assert np.mean(flattered) > 1e-3
