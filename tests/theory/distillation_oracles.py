"""Independent solvers for the flows of `jssl.theory.distillation`, in NumPy and SciPy alone."""

import functools

import numpy as np
import scipy.integrate
import scipy.optimize

TIGHT = {"rtol": 1e-11, "atol": 1e-13}


def product(layers):
    return functools.reduce(lambda total, layer: layer @ total, layers)


def loss_gradients(layers, v, target, sx, syx):
    """Differentiate tr(V W Sx W^T V^T)/2 - tr(V W (T Syx)^T) by hand, one matrix at a time."""
    w = product(layers)
    of_product = v @ w @ sx - target @ syx  # dL/d(VW)
    gradients = []
    for a in range(len(layers)):
        above = functools.reduce(lambda total, layer: total @ layer, layers[:a:-1], v)
        below = product([np.eye(sx.shape[0]), *layers[:a]])
        gradients.append(above.T @ of_product @ below.T)
    return gradients, of_product @ w.T


def integrate_matrices(
    layers, v, sx, syx, time, objective="jepa", decay=0.0, ratio=1.0, beta=None, method="DOP853"
):
    """Return (layers, V, target layers) at a time, or at several."""
    layers = [np.asarray(x, float) for x in layers]
    slow = [x.copy() for x in layers] if beta is not None else []
    parts = [*layers, np.asarray(v, float), *slow]
    shapes = [x.shape for x in parts]
    sizes = np.cumsum([x.size for x in parts])[:-1]
    depth = len(layers)

    def split(y):
        return [x.reshape(shape) for x, shape in zip(np.split(y, sizes), shapes, strict=True)]

    def rates(_, y):
        values = split(y)
        online, predictor, average = values[:depth], values[depth], values[depth + 1 :]
        target = np.eye(len(sx)) if objective == "mae" else product(average or online)
        gradients, of_predictor = loss_gradients(online, predictor, target, sx, syx)
        moved = [-g - decay * x for g, x in zip(gradients, online, strict=True)]
        moved.append(-ratio * of_predictor - decay * predictor)
        moved += [beta * (x - u) for x, u in zip(online, average, strict=False)]
        return np.concatenate([x.ravel() for x in moved])

    times = np.atleast_1d(time)
    start = np.concatenate([x.ravel() for x in parts])
    seen = scipy.integrate.solve_ivp(
        rates, (0, times[-1]), start, method, t_eval=times, **TIGHT
    ).y.T
    states = [split(y) for y in seen]
    states = [(s[:depth], s[depth], s[depth + 1 :]) for s in states]
    return states if np.ndim(time) else states[0]


def scalar_time(velocity, start, level):
    """Return the time of dw/dt = velocity(w) by quadrature over log w."""
    value, _ = scipy.integrate.quad(
        lambda x: np.exp(x) / velocity(np.exp(x)),
        np.log(start),
        np.log(level),
        epsabs=0,
        epsrel=1e-12,
        limit=2000,
    )
    return value


def crossing_time(rates, start, level, index=0):
    """Return when component `index` of an integrated flow reaches a level."""

    def crossed(_, y):
        return y[index] - level

    crossed.terminal = True
    run = scipy.integrate.solve_ivp(
        lambda _, y: rates(y), (0, 1e9), start, "LSODA", events=crossed, rtol=1e-12, atol=1e-14
    )
    return run.t_events[0][0]


def random_moments(rng, m, symmetric=True):
    """Return (Sx, Syx, Sy) of m variables, jointly positive definite."""
    a = rng.normal(size=(m, m)) / np.sqrt(m)
    sx = a @ a.T + 0.5 * np.eye(m)
    b = rng.normal(size=(m, m)) / np.sqrt(m)
    b = 0.5 * np.eye(m) + 0.15 * b
    syx = b @ sx
    if symmetric:
        syx = (syx + syx.T) / 2
    sy = syx @ np.linalg.solve(sx, syx.T) + 0.3 * np.eye(m)
    return sx, syx, sy


def orthogonal(rng, m):
    return np.linalg.qr(rng.normal(size=(m, m)))[0]


def overlap(a, b):
    """Return the overlap of two row spaces, 1 where they are equal."""
    a, b = (np.linalg.qr(x.T)[0] for x in (a, b))
    return np.sum((a.T @ b) ** 2) / a.shape[1]
