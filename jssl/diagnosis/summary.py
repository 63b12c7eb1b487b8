"""The summary of a diagnosis and the caveats of its rows, as sentences."""

from collections.abc import Mapping

import numpy as np

from jssl.data.chunks import stored_rows
from jssl.diagnosis.judgement import Judgement
from jssl.diagnosis.spectra import Metric
from jssl.diagnosis.verdict_sentences import counted, verdict_sentences
from jssl.diagnosis.views import ViewDistances, view_sentence
from jssl.formulas.moments import Scan
from jssl.formulas.sliced import EXPECTED
from jssl.formulas.sphere import evenly_spread_uniformity
from jssl.formulas.verdict import Thresholds

_ROUNDING = 1e-9
_FEW = 0.01


def row_caveats(z: np.ndarray, scanned: Scan | None = None) -> list[str]:
    """Return what limits the metrics of these rows: too few rows, zero rows.

    Args:
        z: (n, dim).
        scanned: of z, where the pass over the rows was already made.
    """
    n, dim = z.shape
    dimensions = counted(f"{dim:,}", "dimension")
    caveats = []
    if n <= dim:
        caveats.append(
            f"{n:,} rows span at most {n - 1:,} of the {dimensions}, which bounds all ranks. "
            "Pass more rows than dimensions."
        )
    zero = _count_zero_rows(z, scanned)
    if zero:
        rows = (
            "1 row is all zero. It has" if zero == 1 else f"{zero:,} rows are all zero. They have"
        )
        caveats.append(f"{rows} no direction on the unit sphere.")
    return caveats


def _count_zero_rows(z: np.ndarray, scanned: Scan | None) -> int:
    """Return the number of zero rows; those at another distance from the origin are not read."""
    if scanned is not None:
        square = float(scanned.origin @ scanned.origin)
        candidates = np.flatnonzero(abs(scanned.sizes - square) <= _ROUNDING * square)
        if len(candidates) < _FEW * len(z):
            return _zero_rows(z[candidates])
    return sum(_zero_rows(part) for _, part in stored_rows(z))


def _zero_rows(part: np.ndarray) -> int:
    candidates = np.flatnonzero(part[:, 0] == 0)  # most rows need no more than their first column
    return int((~(part[candidates] != 0).any(1)).sum())


def summary_of(
    z: np.ndarray,
    judged: Judgement,
    metrics: Mapping[str, Metric],
    distances: ViewDistances | None,
    thresholds: Thresholds,
) -> list[str]:
    """Return the results as sentences, the verdict first."""
    n, dim = z.shape
    dimensions = counted(f"{dim:,}", "dimension")
    ranks = [metrics[name].value for name in ("effective rank", "RankMe", "participation ratio")]
    uniformity = metrics["uniformity"]
    lines = [
        *verdict_sentences(judged, n, thresholds),
        f"{n:,} rows in {dimensions}: the effective rank of the centred rows is "
        f"{ranks[0]:.4g}, their participation ratio is {ranks[2]:.4g} (about "
        f"{n * dim / (n + dim):.4g} for evenly spread rows of this number), and RankMe, which is "
        f"not centred, is {ranks[1]:.4g}.",
    ]
    if np.isfinite(metrics["alpha"].value) and n > dim:  # else the law is that of the sample
        lines.append(_power_law(metrics["alpha"].value, metrics["fit of the power law"].value))
    lines.append(
        f"Uniformity is {uniformity.value:z.3f}{_error(uniformity)} on {uniformity.rows:,} "
        f"rows (0 for complete collapse, {evenly_spread_uniformity(dim):.3f} for evenly spread "
        "rows)."
    )
    gaussian, sigreg = metrics["Gaussian distance"], metrics["SIGReg"]
    if np.isfinite(gaussian.value):
        distance = (
            f"is {gaussian.value:z.3f}{_error(gaussian)} for the centred rows, scaled to mean "
            "variance 1 (0 for an isotropic Gaussian, 1 for a constant embedding)"
        )
    else:
        distance = "needs at least 3 rows"
    lines.append(
        f"The distance from an isotropic Gaussian {distance}. The loss SIGReg of "
        f"{sigreg.rows:,} rows as they are is {sigreg.value:.4g} ± {sigreg.error:.2g} "
        f"({EXPECTED:.2f} on average for a standard normal law)."
    )
    if distances is not None:
        lines.append(view_sentence(distances, metrics.get("LiDAR")))
    probes = [metric for name, metric in metrics.items() if "accuracy" in name]
    given = [metric for metric in probes if metric.name.endswith(", train to test")]
    halves = [metric for metric in probes if metric not in given]
    for where, those in (("On held-out labelled rows", halves), ("On the given split", given)):
        if those:
            each = ", ".join(
                f"{m.name.removesuffix(', train to test')} {m.value:z.3f} ± {m.error:.2g}"
                for m in those
            )
            lines.append(f"{where}: {each} ({those[0].range.partition('; ')[2]}).")
    return lines


def _error(metric: Metric) -> str:
    """Return the error of a metric after its sign, or nothing where it is not known."""
    return "" if np.isnan(metric.error) else f" ± {metric.error:.2g}"


def _power_law(exponent: float, fit: float) -> str:
    if abs(exponent) < 0.05:
        judged = "it is flat, as for noise"
    elif 0.7 <= exponent <= 1.3:
        judged = "the exponent is near 1, as for good encoders"
    else:
        judged = "the exponent is far from 1"
    poor = "" if fit > 0.9 else f", but a power law fits poorly (R² {fit:.2f})"
    return f"The spectrum decreases as index^{-exponent:.2f}: {judged}{poor}."
