r"""Which encoder a label-free criterion ranks first, and how surely over the choice of the rows.

A criterion R is a smooth function of the eigenvalues lambda_j of a matrix that is a mean over rows.
To first order row i changes it by

    r_i = sum_j dR/dlambda_j ((u_j . z_i)^2 - lambda_j)

(the infinitesimal jackknife). The encoders are measured on the same rows, so their r_i are paired:
their covariance over n is that of the values. The probability of each encoder to be first is its
share of draws from the normal distribution with these values and this covariance. Resampling the
rows themselves would be biased: a bootstrap sample repeats rows, and repeated rows have lower rank.
"""

from typing import NamedTuple

import numpy as np

from jssl.data.checks import require_name
from jssl.encoders.components import Components
from jssl.formulas.ranks import entropy_rank, participation_ratio

CRITERIA = ("rankme", "effective rank", "participation ratio")
"""Label-free criteria; high is better in all. `jssl.diagnostics` defines them."""

DRAWS = 20_000


class Ranking(NamedTuple):
    """Values of a criterion and how surely each encoder is first.

    Attributes:
        values: (k,).
        errors: (k,) standard errors over the rows.
        first: (k,) probability that each has the highest value; ties, as of equal embeddings, are
            shared.
    """

    values: np.ndarray
    errors: np.ndarray
    first: np.ndarray


def criterion_named(name: str) -> str:
    """Return the criterion of a name, which may have hyphens or underscores for its spaces.

    Example:
        >>> criterion_named("effective-rank")
        'effective rank'

    Raises:
        InputError: for a name that is not known.
    """
    plain = name.replace("-", " ").replace("_", " ") if isinstance(name, str) else name
    known = plain if plain in CRITERIA else name
    require_name("criterion", known, CRITERIA)
    return known


def rank_encoders(
    encoders: list[Components], criterion: str, draws: np.random.Generator
) -> Ranking:
    """Return the values of a criterion, their errors, and the probability of each to be first.

    Example:
        >>> from jssl.encoders.components import components
        >>> rng = np.random.default_rng(0)
        >>> wide, narrow = rng.normal(size=(2, 400, 8)) * np.array([[[1.0]], [[1.0]]])
        >>> narrow[:, 4:] *= 0.1
        >>> ranking = rank_encoders([components(z) for z in (wide, narrow)], "effective rank", rng)
        >>> ranking.first.tolist()
        [1.0, 0.0]

    Args:
        encoders: components of the same rows; for "rankme" those that are not centred.
        criterion: one of `CRITERIA`.
        draws: generator for the probabilities.
    """
    values = np.array([_value(each.values, criterion) for each in encoders])
    terms = np.stack([influence(each, criterion) for each in encoders], axis=1)
    n = len(terms)
    covariance = np.cov(terms.T, bias=True).reshape(len(values), -1) / n
    spread, directions = np.linalg.eigh(covariance)
    size = np.sqrt(np.maximum(spread, 0))
    noise = draws.normal(size=(DRAWS, len(values))) * size
    drawn = values + noise @ directions.T
    rounding = 1e-9 * np.abs(values).max(initial=1e-300)
    best = drawn >= drawn.max(1, keepdims=True) - rounding
    first = np.mean(best / best.sum(1, keepdims=True), axis=0)
    return Ranking(values, np.sqrt(np.diag(covariance)), first)


def influence(encoder: Components, criterion: str) -> np.ndarray:
    """Return (n,) first-order changes of a criterion by each row; their mean is 0."""
    values, n = encoder.values, len(encoder.scores)
    if not len(values):
        return np.zeros(n)
    squares = n * np.square(encoder.scores) * values
    return (squares - values) @ _gradient(values, criterion)


def _value(values: np.ndarray, criterion: str) -> float:
    if not len(values):
        return 0.0
    if criterion == "participation ratio":
        return float(participation_ratio(values, np))
    return float(entropy_rank(np.sqrt(values), False, np))


def _gradient(values: np.ndarray, criterion: str) -> np.ndarray:
    if criterion == "participation ratio":
        total, squares = values.sum(), np.square(values).sum()
        return 2 * total / squares - 2 * total**2 * values / squares**2
    roots = np.sqrt(values)
    p = roots / roots.sum()
    entropy = -np.sum(p * np.log(p))
    return -np.exp(entropy) * (np.log(p) + entropy) / roots.sum() / (2 * roots)
