"""The definitions of the papers, sample by sample in Python floats."""

import functools
import math

import numpy as np
from scipy.integrate import trapezoid

from jssl.losses.slices import directions
from jssl.precision import float64


def dot(a, b):
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def square(a, b):
    return sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True))


def cos(a, b):
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def loop_nt_xent(za, zb, temperature=0.5, with_positive=True):
    views = [v for pair in zip(za, zb, strict=True) for v in pair]  # 2k and 2k + 1 are a pair
    total = 0.0
    for k, anchor in enumerate(views):
        partner = k ^ 1
        denominator = sum(
            math.exp(cos(anchor, other) / temperature)
            for m, other in enumerate(views)
            if m != k and (with_positive or m != partner)
        )
        total -= math.log(math.exp(cos(anchor, views[partner]) / temperature) / denominator)
    return total / len(views)


def loop_info_nce(za, zb):
    total = 0.0
    for a, b in zip(za, zb, strict=True):
        scores = [dot(a, other) - dot(a, b) for other in zb]
        top = max(scores)  # taken out, so that no exponential overflows
        total += top + math.log(sum(math.exp(score - top) for score in scores))
    return total / len(za)


def loop_spectral(za, zb):
    views = [*za, *zb]
    positive = sum(dot(a, b) for a, b in zip(za, zb, strict=True)) / len(za)
    return -2 * positive + sum(dot(u, v) ** 2 for u in views for v in views) / len(views) ** 2


def loop_align_uniform(za, zb):
    za, zb = ([[x / math.sqrt(dot(z, z)) for x in z] for z in views] for views in (za, zb))
    align = sum(square(a, b) for a, b in zip(za, zb, strict=True)) / len(za)
    uniform = 0.0
    for views in (za, zb):
        pairs = [(u, v) for i, u in enumerate(views) for v in views[:i]]
        uniform += math.log(sum(math.exp(-2 * square(u, v)) for u, v in pairs) / len(pairs)) / 2
    return align + uniform


def loop_barlow_twins(za, zb):
    n, dim = za.shape
    ha, hb = (
        [
            [(z[i, k] - sum(z[:, k]) / n) / math.sqrt(z[:, k].var() + 1e-5) for k in range(dim)]
            for i in range(n)
        ]
        for z in (za, zb)
    )
    return loop_redundancy(
        [[sum(ha[s][i] * hb[s][j] for s in range(n)) / n for j in range(dim)] for i in range(dim)],
        0.0051,
    )


def loop_linearized(za, zb):
    n, dim = za.shape
    pair = list(zip(za, zb, strict=True))
    c = [
        [sum(a[i] * b[j] + b[i] * a[j] for a, b in pair) / (2 * n) for j in range(dim)]
        for i in range(dim)
    ]
    return loop_redundancy(c, 1.0)


def loop_redundancy(c, weight):
    total = 0.0
    for i, row in enumerate(c):
        for j, value in enumerate(row):
            total += (value - 1) ** 2 if i == j else weight * value**2
    return total


def loop_vicreg(za, zb):
    n, dim = za.shape
    total = 25 * sum(square(a, b) for a, b in zip(za, zb, strict=True)) / (n * dim)
    for z in (za, zb):
        cov = np.cov(z, rowvar=False)
        for i in range(dim):
            total += 25 / dim * max(0.0, 1 - math.sqrt(cov[i, i] + 1e-4))
            total += sum(cov[i, j] ** 2 for j in range(dim) if j != i) / dim
    return total


def loop_vicreg_squared(za, zb):
    n, dim = za.shape
    total = sum(square(a, b) for a, b in zip(za, zb, strict=True)) / n
    for i in range(dim):
        for j in range(dim):
            moment = sum(z[i] * z[j] for z in [*za, *zb]) / (2 * n)
            total += (moment - (i == j)) ** 2
    return total


def loop_byol(za, zb):
    total = 0.0
    for a, b in zip(za, zb, strict=True):
        ua, ub = (z / math.sqrt(dot(z, z)) for z in (a, b))
        total += square(ua, ub) + square(ub, ua)
    return total / len(za)


def loop_linear_contrastive(za, zb):
    n = len(za)
    total = sum(dot(za[i], zb[j]) / (n - 1) for i in range(n) for j in range(n) if i != j)
    return (total - sum(dot(a, b) for a, b in zip(za, zb, strict=True))) / n


def loop_jepa(za, zb):
    return sum(map(square, za, zb)) / (2 * len(za))


def whole_sigreg(za, zb, limit=3.0, points=33):
    """SIGReg of the authors' code: the trapezoidal rule over [-limit, limit], complex numbers."""
    with float64():
        a = np.asarray(directions(None, za.shape[1], 1024, "float64"))
    t = np.linspace(-limit, limit, points)
    total = 0.0
    for z in (za, zb):
        for direction in a:
            seen = np.exp(1j * t[:, None] * (z @ direction)).mean(1)
            gap = np.abs(seen - np.exp(-(t**2) / 2)) ** 2 * np.exp(-(t**2) / 2)
            total += len(z) * trapezoid(gap, t)
    return total / (2 * len(a))


def loop_bhep(za, zb):
    n, dim = za.shape
    b = 2 / dim
    total = 0.0
    for z in (za, zb):
        pairs = sum(math.exp(-b / 2 * square(u, v)) for u in z for v in z) / n**2
        own = sum(math.exp(-b / (2 * (1 + b)) * dot(u, u)) for u in z) / n
        total += pairs - 2 * (1 + b) ** (-dim / 2) * own + (1 + 2 * b) ** (-dim / 2)
    return total / 2


def loop_lejepa(za, zb):
    n, dim = za.shape
    middle = (za + zb) / 2
    spread = sum(square(z[i], middle[i]) for z in (za, zb) for i in range(n)) / (2 * n * dim)
    return 0.95 * spread + 0.05 * whole_sigreg(za, zb)


def loop_hard_info_nce(za, zb):
    total = 0.0
    for i, anchor in enumerate(za):
        scores = [cos(anchor, zb[j]) for j in range(len(zb)) if j != i]
        near = [math.exp(score) for score in scores]
        hard = sum(
            weight / sum(near) * math.exp(score / 0.5)
            for weight, score in zip(near, scores, strict=True)
        )
        total += math.log(1 + hard * math.exp(-cos(anchor, zb[i]) / 0.5))
    return total / len(za)


REFERENCES = {
    "align_uniform": loop_align_uniform,
    "barlow_twins": loop_barlow_twins,
    "barlow_twins_linearized": loop_linearized,
    "bhep": loop_bhep,
    "byol_regression": loop_byol,
    "decoupled_contrastive": functools.partial(loop_nt_xent, temperature=0.1, with_positive=False),
    "hard_info_nce": loop_hard_info_nce,
    "info_nce": loop_info_nce,
    "iso_loss": loop_jepa,
    "jepa": loop_jepa,
    "lejepa": loop_lejepa,
    "linear_contrastive": loop_linear_contrastive,
    "linear_non_contrastive": lambda za, zb: -sum(map(dot, za, zb)) / len(za),
    "nt_xent": loop_nt_xent,
    "sigreg": whole_sigreg,
    "simsiam": lambda za, zb: -sum(map(cos, za, zb)) / len(za),
    "spectral_contrastive": loop_spectral,
    "vicreg": loop_vicreg,
    "vicreg_squared": loop_vicreg_squared,
}
