"""How much faster are the leading modes of the contrastive kernel without dense factors?

    python -m benchmarks.contrastive_kernel                # 2n = 2,000 and 8,000; minutes
    python -m benchmarks.contrastive_kernel --size quick   # 2n = 2,000; seconds

The Gram matrix is the NTK of a deep ReLU net, in closed form, on correlated pairs of views whose
spectrum decays as natural data's does. Peers are what one would write with dense linear algebra,
the top 16 modes of L^T J L / 2n with K = L L^T:

    numpy   numpy.linalg.cholesky and eigh, all modes
    scipy   scipy.linalg.cholesky and eigh of the top 16 (subset_by_index)
    arpack  scipy.linalg.cholesky and sparse.linalg.eigsh, the strongest peer

Accuracy is that of the eigenvalues against the dense ones, and of the modes' residuals.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.sparse.linalg
import tyro

from benchmarks import harness
from jssl.kernels.contrastive import contrastive_modes
from jssl.precision import float64

DIM = 16


def relu_ntk(x: np.ndarray, depth: int = 3) -> np.ndarray:
    """Return the NTK of a ReLU net at infinite width, by the arc-cosine formulas."""
    covariance = x @ x.T / x.shape[1]
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    tangent = covariance.copy()
    for _ in range(depth - 1):
        cosine = np.clip(covariance / scale, -1, 1)
        angle = np.arccos(cosine)
        covariance = scale * (np.sqrt(1 - cosine**2) + (np.pi - angle) * cosine) / np.pi
        tangent = covariance + tangent * (np.pi - angle) / np.pi
    return tangent


def pairs(n: int, features: int = 64, noise: float = 0.5, seed: int = 0) -> np.ndarray:
    """Return (2n, features) first and second views: a common part and noise, decaying spectrum."""
    generator = np.random.default_rng(seed)
    common, first, second = generator.normal(size=(3, n, features))
    scale = np.arange(1, features + 1) ** -0.5
    return np.concatenate([common + noise * first, common + noise * second]) * scale


def _symmetric(gram: np.ndarray, cholesky: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    factor = cholesky(gram)
    size = len(gram)
    return factor.T @ np.roll(factor, size // 2, axis=0) / size


def numpy_dense(gram: np.ndarray) -> np.ndarray:
    """Return the top eigenvalues from all of them."""
    return np.linalg.eigh(_symmetric(gram, np.linalg.cholesky))[0][::-1][:DIM]


def scipy_subset(gram: np.ndarray) -> np.ndarray:
    """Return the top eigenvalues alone, from a dense matrix."""
    size = len(gram)
    matrix = _symmetric(gram, _scipy_cholesky)
    options: dict[str, Any] = {"overwrite_a": True, "check_finite": False}
    return scipy.linalg.eigh(matrix, subset_by_index=[size - DIM, size - 1], **options)[0][::-1]


def arpack(gram: np.ndarray) -> np.ndarray:
    """Return the top eigenvalues by implicitly restarted Lanczos on the Cholesky factor."""
    size = len(gram)
    factor = _scipy_cholesky(gram)

    def product(v: np.ndarray) -> np.ndarray:
        return factor.T @ np.roll(factor @ v, size // 2, axis=0) / size

    operator = scipy.sparse.linalg.LinearOperator((size, size), matvec=product, dtype=gram.dtype)
    start = np.random.default_rng(0).normal(size=size)
    return np.sort(scipy.sparse.linalg.eigsh(operator, DIM, which="LA", v0=start)[0])[::-1]


def _scipy_cholesky(gram: np.ndarray) -> np.ndarray:
    return scipy.linalg.cholesky(gram, lower=True, check_finite=False)


def compare(
    size: int, repeats: int, dense_repeats: int
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Time all contestants at one size; return table rows and ratios."""
    gram = relu_ntk(pairs(size // 2))
    on_device = jnp.asarray(gram)
    found: dict[str, Any] = {}

    def keep(name: str, function: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            found[name] = function()
            return found[name]

        return run

    ours = keep("jssl", lambda: contrastive_modes(on_device, DIM, method="iterative"))
    peers = {"numpy": numpy_dense, "scipy": scipy_subset, "arpack": arpack}
    contestants = {name: keep(name, partial(peer, gram)) for name, peer in peers.items()}
    jax.block_until_ready(ours())
    rounds = {"jssl": repeats, "numpy": dense_repeats, "scipy": dense_repeats, "arpack": repeats}
    timings = harness.measure({"jssl": ours, **contestants}, repeats=rounds, warmup=0)

    modes, exact = found["jssl"], found["scipy"]
    found["jssl"] = np.asarray(modes.eigenvalues)
    rows = [
        {
            "2n": size,
            "method": name,
            "seconds": timing.median,
            "spread": timing.spread,
            "largest relative error": float(np.max(np.abs(found[name] / exact - 1))),
        }
        for name, timing in timings.items()
    ]
    facts = {
        f"2n = {size}: times faster than {k}": v for k, v in harness.ratios(timings, "jssl").items()
    }
    facts[f"2n = {size}: largest residual over eigenvalue"] = float(
        jnp.max(modes.residual / modes.eigenvalues)
    )
    facts[f"2n = {size}: products with K"] = float(modes.steps)
    return rows, facts


def main(size: Literal["quick", "full"] = "full") -> None:
    """Run the benchmark and write results/contrastive_kernel.json.

    Args:
        size: `quick` stops at 2n = 2,000.
    """
    rows: list[dict[str, Any]] = []
    facts: dict[str, float] = {}
    with float64():
        plan = ((2_000, 5, 3), (8_000, 5, 1))[: 1 if size == "quick" else 2]
        for points, repeats, dense_repeats in plan:
            more_rows, more_facts = compare(points, repeats, dense_repeats)
            rows += more_rows
            facts |= more_facts
    name = "contrastive_kernel" if size == "full" else "contrastive_kernel_quick"
    harness.report(name, rows, facts, dtype=np.float64)


if __name__ == "__main__":
    tyro.cli(main)
