"""Independent oracles for `jssl.theory.landscape`: plain NumPy losses, SciPy minimisers."""

import numpy as np
from scipy.optimize import minimize

# placement -> (anchor, positive, anchor of a negative pair, negative): augmented or not, and the
# table of L-3: B = A0 - f C, cov(anchor) = A0 + g C, cov(negative) = A0 + h C.
TABLE = {
    "augmented-augmented-augmented": ((1, 1, 1, 1), 0.0, 1, 1),
    "clean-augmented-clean": ((0, 1, 0, 0), 0.5, 0, 0),
    "clean-augmented-augmented": ((0, 1, 0, 1), 0.0, 0, 1),
    "augmented-augmented-clean": ((1, 1, 1, 0), 0.5, 1, 0),
    "augmented-augmented-both_clean": ((1, 1, 0, 0), 1.0, 0, 0),
}


def covariance(rng, spectrum):
    columns = np.linalg.qr(rng.standard_normal((len(spectrum), len(spectrum))))[0]
    return (columns * spectrum) @ columns.T


def sampled_info_nce(rng, weight, a0, c, placement, n=1500, negatives=1000):
    """One draw of the Euclidean loss with fresh samples, less log of the number of negatives."""
    bits = TABLE[placement][0]
    d = len(a0)
    roots = [np.linalg.cholesky(x + 1e-300 * np.eye(d)) for x in (a0, c)]

    def draw(count, root):
        return rng.standard_normal((count, d)) @ root.T

    s = draw(n, roots[0])
    anchor, positive = (s + bit * draw(n, roots[1]) for bit in bits[:2])
    paired = anchor if bits[2] == bits[0] else s
    other = draw(negatives, roots[0]) + bits[3] * draw(negatives, roots[1])
    za, zp, zq, zn = (x @ weight.T for x in (anchor, positive, paired, other))
    scores = -0.5 * ((zq[:, None] - zn) ** 2).sum(-1)
    return (0.5 * ((za - zp) ** 2).sum(1)).mean() + np.log(np.exp(scores).mean(1)).mean()


def best_of(function, starts):
    """The lowest of scipy's BFGS runs: (value, point)."""
    runs = [
        minimize(function, x, jac=True, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-10})
        for x in starts
    ]
    best = min(runs, key=lambda run: run.fun)
    return best.fun, best.x


def quartic(b, anchor, negative, own, cross, m):
    """Value and gradient of -Tr[W b W^T] + own Tr Kn^2 + cross Tr[Ka Kn], W flat."""

    def function(flat):
        w = flat.reshape(m, -1)
        wa, wn = w @ anchor, w @ negative
        ka, kn = wa @ w.T, wn @ w.T
        value = -np.sum((w @ b) * w) + own * np.sum(kn**2) + cross * np.sum(ka * kn)
        slope = -2 * w @ b + 4 * own * kn @ wn + 2 * cross * (ka @ wn + kn @ wa)
        return value, slope.ravel()

    return function


def numeric_hessian(gradient, point, step=1e-5):
    """Central differences of a gradient."""
    eye = np.eye(len(point))
    columns = [(gradient(point + step * e) - gradient(point - step * e)) / (2 * step) for e in eye]
    h = np.array(columns)
    return (h + h.T) / 2
