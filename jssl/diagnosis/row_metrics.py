"""The metrics of a set of embeddings, each with its range and meaning."""

import math

import numpy as np

from jssl.data.chunks import strips
from jssl.diagnosis.classes import within_share
from jssl.diagnosis.judgement import Judgement
from jssl.diagnosis.labels import Labels
from jssl.diagnosis.spectra import Metric, Spectrum
from jssl.diagnosis.views import unit
from jssl.formulas.normality import host_distance
from jssl.formulas.ranks import entropy_rank, participation_ratio, power_law
from jssl.formulas.sliced import EXPECTED, host_sigreg
from jssl.formulas.sphere import Measured, host_uniformity
from jssl.formulas.verdict import CONSTANT, FEW

PAIRWISE = 4_000
"""The most rows on which the Gaussian distance is computed."""

FEWEST = 2
"""Rows that say nothing of their distance from a Gaussian: centred and scaled they are known."""

BATCH = 1_000
"""The most rows on which SIGReg is computed."""


def verdict_metrics(judged: Judgement) -> list[Metric]:
    """Return the quantities that decide the verdict."""
    seen, exact = judged.verdict, float("nan")
    return [
        Metric(
            "effective directions",
            float(seen.directions),
            exact,
            judged.points,
            f"0, or 1 to {seen.possible}",
            f"high; at most {FEW:g} is a dimensional collapse",
            "participation ratio, corrected for the number of rows; outliers are left out",
            "Srivastava 2005",
        ),
        Metric(
            "leading share",
            float(seen.leading),
            exact,
            judged.points,
            "0, or 1 / dimensions to 1",
            "low",
            "share of the variance in the leading direction; outliers are left out",
        ),
        Metric(
            "variance over mean square",
            float(seen.spread),
            exact,
            judged.points,
            "0 to 1",
            f"high; at most {CONSTANT:g} is near one point",
            "1 less the share of the mean square that is a constant offset of all rows; outliers "
            "are left out",
        ),
    ]


def within_metric(z: np.ndarray, labels: Labels, chosen: np.ndarray) -> Metric:
    """Return the share of the variance within classes, on `chosen` labelled rows."""
    few = chosen[labels.classes[chosen] >= 0]
    known = np.unique(labels.classes[few], return_inverse=True)[1]
    share = within_share(chosen_rows(z, few), known) if len(few) else float("nan")
    return Metric(
        "within-class share",
        share,
        float("nan"),
        len(few),
        "0 to 1",
        "low for classes that are far apart; 0 where every class is one point",
        "share of the variance of labelled rows that lies within classes",
    )


def rank_metrics(spectrum: Spectrum, z: np.ndarray) -> list[Metric]:
    """Return ranks and the power law of a spectrum."""
    n, dim = z.shape
    values = spectrum.eigenvalues
    law = power_law(values, 1, len(values), np)
    most = min(n - 1, dim)
    described = (
        (
            "effective rank",
            entropy_rank(np.sqrt(values), False, np),
            f"0, or 1 to {most}",
            "high: many dimensions have variance",
            "exponential of the entropy of the singular values, centred and scaled to sum 1",
            "Roy and Vetterli 2007",
        ),
        (
            "RankMe",
            entropy_rank(np.sqrt(spectrum.uncentred), False, np),
            f"0, or 1 to {min(n, dim)}",
            "high, among encoders of one method",
            "exponential of the entropy of the singular values, not centred, scaled to sum 1",
            "arXiv 2210.02885",
        ),
        (
            "participation ratio",
            participation_ratio(values, np),
            f"0, or 1 to {most}",
            "high",
            "squared sum of the covariance's eigenvalues over the sum of their squares",
            "",
        ),
        (
            "alpha",
            law.exponent,
            "any number",
            "near 1",
            "exponent of the power law fitted to the covariance's eigenvalues",
            "alpha-ReQ, NeurIPS 2022",
        ),
        (
            "fit of the power law",
            law.fit,
            "at most 1",
            "near 1; alpha means little otherwise",
            "R² of the power law",
            "",
        ),
    )
    return [
        Metric(name, float(value), float("nan"), n, possible, good, meaning, source)
        for name, value, possible, good, meaning, source in described
    ]


def uniformity_metric(sample: np.ndarray) -> Metric:
    """Return the uniformity of rows."""
    # The rounding of unit vectors is negligible here.
    narrow = np.can_cast(sample.dtype, np.float32)
    u = np.empty(sample.shape, np.float32 if narrow else np.float64)
    for start, part in strips(sample):
        u[start : start + len(part)] = unit(part)
    measured = host_uniformity(u)
    return Metric(
        name="uniformity",
        value=float(measured.value),
        error=float(measured.error),
        rows=len(sample),
        range="about -4 to 0",
        good="low; 0 is complete collapse",
        meaning="logarithm of the mean over pairs of rows of exp(-2 squared distance), at length 1",
        source="arXiv 2005.10242",
    )


def gaussian_metric(sample: np.ndarray) -> Metric:
    """Return the distance from a Gaussian, on at most `PAIRWISE` of some rows."""
    sample = _at_most(sample, PAIRWISE)
    measured = Measured(math.nan, math.nan)
    if len(sample) > FEWEST:
        measured = host_distance(np.asarray(sample, np.float64))
    return Metric(
        name="Gaussian distance",
        value=float(measured.value),
        error=float(measured.error),
        rows=len(sample),
        range="about 0 to 1",
        good="0 for LeJEPA, whose target is an isotropic Gaussian; 1 is complete collapse",
        meaning="BHEP statistic of centred rows, scaled to mean variance 1, less its mean for as "
        "many Gaussian rows, over its value for a constant embedding"
        + ("" if len(sample) > FEWEST else "; not known for two rows, which are always alike"),
        source="Henze and Wagner 1997; arXiv 2511.08544",
    )


def sigreg_metric(sample: np.ndarray) -> Metric:
    """Return the loss SIGReg of rows as they are, on at most `BATCH` of some rows."""
    sample = _at_most(sample, BATCH)
    measured = host_sigreg(np.asarray(sample, np.float64))
    return Metric(
        name="SIGReg",
        value=float(measured.value),
        error=float(measured.error),
        rows=len(sample),
        range=f"0 or more; {EXPECTED:.3f} on average for rows N(0, I)",
        good=f"for LeJEPA, near {EXPECTED:.3f}; it grows with the number of rows elsewhere",
        meaning="the loss SIGReg of these rows as they are, over all directions and the whole line "
        "of frequencies",
        source="arXiv 2511.08544",
    )


def _at_most(sample: np.ndarray, count: int) -> np.ndarray:
    if len(sample) <= count:
        return sample
    return sample[np.linspace(0, len(sample) - 1, count).astype(int)]


def chosen_rows(z: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return rows in float64."""
    return np.asarray(z if len(chosen) == len(z) else z[chosen], np.float64)
