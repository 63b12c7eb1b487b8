"""A diagnosis in words."""

from collections.abc import Mapping

import numpy as np

from jssl.data.chunks import rows
from jssl.diagnosis.spectra import CONSTANT, Reading, Spectrum
from jssl.diagnosis.views import Pairs, view_sentence
from jssl.formulas.verdict import KINDS, Verdict


def remarks(whole: Spectrum, z: np.ndarray) -> list[str]:
    """Return what the rows themselves make it necessary to say."""
    n, dim = z.shape
    found = []
    if n <= dim:
        found.append(
            f"{n:,} rows span at most {n - 1:,} of the {dim:,} dimensions: ranks are bounded by the"
            " rows, give more of them"
        )
    if whole.constant:
        columns = "1 column is" if whole.constant == 1 else f"{whole.constant:,} columns are"
        found.append(f"{columns} constant: dead units")
    zero = sum(int((~part.any(1)).sum()) for _, part in rows(z))
    if zero:
        found.append(f"{zero:,} rows are all zero: they have no direction on the sphere")
    return found


def words(
    z: np.ndarray,
    verdict: Verdict,
    readings: Mapping[str, Reading],
    pairs: Pairs | None,
    tolerance: float,
) -> list[str]:
    """Return the reading as sentences, the answer first."""
    n, dim = z.shape
    kind, rank = KINDS[int(verdict.kind)], int(verdict.rank)
    bar = f"{tolerance:g} of the largest variance"
    answer = {
        "none": f"No collapse: all {verdict.possible:,} dimensions that {n:,} points can fill carry"
        f" more than {bar}.",
        "dimensional": f"Dimensional collapse: {verdict.possible - rank:,} of {verdict.possible:,} "
        f"dimensions carry no more than {bar}; {rank:,} are left.",
        "complete": f"Complete collapse: the variance is {float(verdict.spread):.2g} of the mean "
        f"square, at most {CONSTANT:g}: all points are nearly one.",
    }[kind]
    ranks = [readings[name].value for name in ("effective rank", "RankMe", "participation ratio")]
    told = [
        answer,
        f"{n:,} points in {dim:,} dimensions: effective rank {ranks[0]:.4g}, RankMe {ranks[1]:.4g}"
        f" (not centred), participation ratio {ranks[2]:.4g}.",
    ]
    law, fit = readings["alpha"].value, readings["fit of the power law"].value
    if np.isfinite(law) and n > dim:  # else it is the sample's law, not the encoder's
        about = "near 1, as good encoders have" if 0.7 <= law <= 1.3 else "far from 1"
        about = "flat, as noise is" if abs(law) < 0.05 else about
        sure = "" if fit > 0.9 else f", but a power law fits badly (R² {fit:.2f})"
        told.append(f"The spectrum falls as index^-{law:.2f}, {about}{sure}.")
    spread = readings["uniformity"]
    told.append(
        f"Uniformity {spread.value:.3f} ± {spread.error:.2g} on {spread.points:,} points "
        "(0 is complete collapse, -4 evenly spread)."
    )
    if pairs is not None:
        told.append(view_sentence(pairs, readings.get("LiDAR")))
    probes = [r for name, r in readings.items() if "accuracy" in name]
    if probes:
        each = ", ".join(f"{r.name} {r.value:.3f} ± {r.error:.2g}" for r in probes)
        told.append(f"Labels: {each} ({probes[0].span.partition('; ')[2]}).")
    return told
