"""Geodesics by integration, and random points and tangents, in NumPy and SciPy alone."""

import numpy as np
import scipy.integrate


def point(rng, n, p):
    return np.linalg.qr(rng.normal(size=(n, p)))[0]


def tangent(rng, x, size=1.0, *, horizontal=False):
    """Return x A + K with A skew (0 if horizontal), x^T K = 0, of Frobenius norm `size`."""
    n, p = x.shape
    a, k = rng.normal(size=(p, p)), rng.normal(size=(n, p))
    v = k - x @ (x.T @ k) + (0 if horizontal else x @ (a - a.T))
    return v * size / np.linalg.norm(v)


def accelerations(metric):
    """Edelman, Arias and Smith 1998, equations 2.7 and 2.41."""

    def euclidean(y, v):
        return -y @ (v.T @ v)

    def canonical(y, v):
        return -v @ v.T @ y - y @ (y.T @ v @ y.T @ v + v.T @ v)

    return {"euclidean": euclidean, "canonical": canonical}[metric]


def integrate_geodesic(x, v, metric="euclidean"):
    acceleration = accelerations(metric)

    def right(_, state):
        y, w = state.reshape(2, *x.shape)
        return np.stack([w, acceleration(y, w)]).ravel()

    start = np.stack([x, v]).ravel()
    solution = scipy.integrate.solve_ivp(
        right, (0, 1), start, method="DOP853", rtol=1e-12, atol=1e-13
    )
    return solution.y[:, -1].reshape(2, *x.shape)[0]
