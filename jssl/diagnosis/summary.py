"""The summary of a diagnosis and the caveats of its rows, as sentences."""

from collections.abc import Mapping

import numpy as np

from jssl.data.chunks import rows
from jssl.diagnosis.spectra import CONSTANT, Metric, Spectrum
from jssl.diagnosis.views import ViewDistances, view_sentence
from jssl.formulas.verdict import KINDS, Verdict


def row_caveats(spectrum: Spectrum, z: np.ndarray) -> list[str]:
    """Return what limits the metrics of these rows: too few rows, constant columns, zero rows."""
    n, dim = z.shape
    caveats = []
    if n <= dim:
        caveats.append(
            f"{n:,} rows span at most {n - 1:,} of the {dim:,} dimensions, which bounds all ranks. "
            "Pass more rows than dimensions."
        )
    if spectrum.constant:
        columns = "1 column is" if spectrum.constant == 1 else f"{spectrum.constant:,} columns are"
        caveats.append(f"{columns} constant (dead units).")
    zero = sum(int((~part.any(1)).sum()) for _, part in rows(z))
    if zero:
        caveats.append(f"{zero:,} rows are all zero. They have no direction on the unit sphere.")
    return caveats


def summary_of(
    z: np.ndarray,
    verdict: Verdict,
    metrics: Mapping[str, Metric],
    distances: ViewDistances | None,
    tolerance: float,
) -> list[str]:
    """Return the results as sentences, the verdict first."""
    n, dim = z.shape
    ranks = [metrics[name].value for name in ("effective rank", "RankMe", "participation ratio")]
    uniformity = metrics["uniformity"]
    lines = [
        _verdict(verdict, n, tolerance),
        f"{n:,} rows in {dim:,} dimensions: the effective rank is {ranks[0]:.4g}, RankMe (not "
        f"centred) {ranks[1]:.4g}, the participation ratio {ranks[2]:.4g}.",
    ]
    if np.isfinite(metrics["alpha"].value) and n > dim:  # else the law is that of the sample
        lines.append(_power_law(metrics["alpha"].value, metrics["fit of the power law"].value))
    lines.append(
        f"Uniformity is {uniformity.value:.3f} ± {uniformity.error:.2g} on {uniformity.rows:,} "
        "rows (0 for complete collapse, about -4 for evenly spread rows)."
    )
    gaussian = metrics["Gaussian distance"]
    lines.append(
        f"The distance from an isotropic Gaussian is {gaussian.value:.3f} ± {gaussian.error:.2g} "
        "(0 for an isotropic Gaussian, 1 for a constant embedding)."
    )
    if distances is not None:
        lines.append(view_sentence(distances, metrics.get("LiDAR")))
    probes = [metric for name, metric in metrics.items() if "accuracy" in name]
    if probes:
        each = ", ".join(f"{m.name} {m.value:.3f} ± {m.error:.2g}" for m in probes)
        lines.append(f"On held-out labelled rows: {each} ({probes[0].range.partition('; ')[2]}).")
    return lines


def _verdict(verdict: Verdict, n: int, tolerance: float) -> str:
    kind, rank = KINDS[int(verdict.kind)], int(verdict.rank)
    threshold = f"{tolerance:g} of the largest variance"
    if kind == "none":
        return (
            f"No collapse: each of the {verdict.possible:,} dimensions that {n:,} rows can span "
            f"has more than {threshold}."
        )
    if kind == "dimensional":
        return (
            f"Dimensional collapse: {rank:,} of {verdict.possible:,} dimensions have more than "
            f"{threshold}."
        )
    return (
        f"Complete collapse: the variance is {float(verdict.spread):.2g} of the mean square, which "
        f"is at most {CONSTANT:g}. All rows are nearly equal."
    )


def _power_law(exponent: float, fit: float) -> str:
    if abs(exponent) < 0.05:
        judged = "it is flat, as for noise"
    elif 0.7 <= exponent <= 1.3:
        judged = "the exponent is near 1, as for good encoders"
    else:
        judged = "the exponent is far from 1"
    poor = "" if fit > 0.9 else f", but a power law fits poorly (R² {fit:.2f})"
    return f"The spectrum decreases as index^{-exponent:.2f}: {judged}{poor}."
