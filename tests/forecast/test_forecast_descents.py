"""Forecasts of random starts against many descents from random starts, in plain NumPy.

A forecast is for a typical random start. One descent may differ from it by its stated error: 8 % in
the last dimension under weight decay, and 20 % for Barlow Twins with fewer modes than outputs.
"""

import numpy as np

import jssl

RUNS = 200


def equal_views(eigenvalues, n):
    """Return equal views whose cross-moment has these eigenvalues, centred."""
    draws = np.random.default_rng(0)
    gamma = np.array(eigenvalues)
    columns = np.c_[np.ones(n), draws.normal(size=(n, len(gamma)))]
    z = np.linalg.qr(columns)[0][:, 1:] * np.sqrt(n * gamma)
    return (z, z + 0), gamma


def descend(gamma, dim, scale, rate, steps, *, weight=1.0, decay=0.0, every=1):
    """Return the steps (runs, modes) at which each eigenvalue of C is half of its last value."""
    modes = len(gamma)
    w = scale * np.random.default_rng(1).normal(size=(RUNS, dim, modes)) / modes**0.5
    own, seen = np.arange(dim), []
    for step in range(steps):
        if step % every == 0:
            root = w * np.sqrt(gamma)
            seen.append(np.linalg.eigvalsh(np.swapaxes(root, 1, 2) @ root)[:, ::-1])
        c = (w * gamma) @ np.swapaxes(w, 1, 2)
        error = weight * c
        error[:, own, own] = c[:, own, own] - 1
        w = w - rate * (4 * error @ (w * gamma) + 2 * decay * w)
    values = np.array(seen)
    return every * np.argmax(values > 0.5 * values[-1], axis=0)


def test_under_weight_decay_the_forecast_is_the_mean_of_random_starts():
    pairs, gamma = equal_views([1.0, 0.5, 0.1], 400)
    seen = jssl.predict(
        pairs, loss="barlow_twins_linearized", dim=3, kernel="linear", weight_decay=0.5
    )
    found = descend(gamma, 3, seen.scale, seen.learning_rate, 700, decay=0.5)[:, :2]
    logs = np.log(found)
    error = logs.std(0, ddof=1) / np.sqrt(RUNS)
    assert (np.abs(logs.mean(0) - np.log(seen.steps[:2])) < 3.9 * error + 0.5 / found.mean(0)).all()
    assert np.isinf(seen.steps[2])
    ratio = found.std(0, ddof=1) / seen.start_errors[:2]
    assert (np.abs(ratio - 1) < 3.9 / np.sqrt(2 * RUNS)).all()


def test_with_fewer_modes_than_outputs_barlow_twins_is_as_near_as_the_forecast_says():
    pairs, gamma = equal_views([1.0, 0.6, 0.4], 100)
    seen = jssl.predict(pairs, loss="barlow_twins", dim=16, kernel="linear")
    rate = 0.01
    found = rate * descend(gamma, 16, seen.scale, rate, 9000, weight=0.0051, every=20)
    times, errors = seen.times[:3], seen.start_errors[:3] * seen.learning_rate
    assert (np.abs(found.mean(0) - times) < errors).all()
    low, high = (x[:3] * seen.learning_rate for x in (seen.low, seen.high))
    assert (((found >= low) & (found <= high)).mean(0) > 0.85).all()
