"""The metrics of every checkpoint in one table, and which checkpoint is best.

The best checkpoint is that with the highest accuracy of the linear probe where labels are given.
Without labels, it is that with the highest same-sample retrieval where second views are given: the
share of rows whose nearest second view (cosine) is that of the same sample. On 56 embeddings of one
architecture of `benchmarks/collapse.py` its rank correlation with the accuracy of a linear probe
was the highest of all label-free metrics. With neither, no checkpoint is called best: the ranks
of the spectrum can be highest for an untrained encoder.

The rows are divided into `GROUPS` random groups. A difference between two checkpoints has the
standard error of the delete-a-group jackknife, computed on the same groups for both. Checkpoints
whose difference from the best is below `SURE` standard errors are not distinguishable from it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jssl.diagnosis.classifiers import logistic_found, nearest_found, split, standardised
from jssl.diagnosis.probes import binomial_error
from jssl.diagnosis.spectra import Spectrum
from jssl.diagnosis.views import unit
from jssl.formulas.ranks import entropy_rank
from jssl.formulas.verdict import effective_directions

GROUPS, SURE = 20, 2.0
ROWS = 2_000
"""The most rows of a checkpoint on which probes and distances of pairs are computed."""

NEAREST, LINEAR = "nearest-neighbour accuracy", "linear probe accuracy"
RETRIEVAL = "same-sample retrieval"


class Table(NamedTuple):
    """Metrics of checkpoints, and the best of them.

    Attributes:
        values: metric -> (checkpoints,).
        errors: metric -> (checkpoints,) standard errors; NaN where a value is exact for the rows.
        best: index of the best checkpoint; None where no rule applies.
        near: indices of the others that are not distinguishable from it.
        rule: by which the best was chosen.
        replicates: (checkpoints, groups + 1) criterion of the rule, higher being better, without
            each group of rows, and with all; None without a rule.
    """

    values: Mapping[str, np.ndarray]
    errors: Mapping[str, np.ndarray]
    best: int | None
    near: tuple[int, ...]
    rule: str
    replicates: np.ndarray | None = None


def tabulate(
    checkpoints: Sequence[np.ndarray],
    spectra: Sequence[Spectrum],
    views: Sequence[np.ndarray] | None,
    classes: np.ndarray | None,
    neighbours: int,
    tolerance: float,
) -> Table:
    """Return the table of checkpoints.

    Args:
        checkpoints: (n, dim) embeddings each.
        spectra: of each.
        views: second views of each; None without.
        classes: (n,) integers from 0, -1 for no label, where every checkpoint has n rows; or None.
        neighbours: k of the nearest-neighbour probe.
        tolerance: of `standardised`.
    """
    exact = np.full(len(checkpoints), np.nan)
    values = {
        "RankMe": np.array([entropy_rank(np.sqrt(s.uncentred), False, np) for s in spectra]),
        "effective rank": np.array(
            [entropy_rank(np.sqrt(s.eigenvalues), False, np) for s in spectra]
        ),
        "effective directions": np.array(
            [
                float(effective_directions(s.eigenvalues, len(z), np))
                for s, z in zip(spectra, checkpoints, strict=True)
            ]
        ),
    }
    errors = dict.fromkeys(values, exact)
    left_out: dict[str, np.ndarray] = {}
    tested = 0
    count = min(GROUPS, *map(len, checkpoints))
    left_out["uniformity"] = np.stack([_uniformity(*_sample(z, count)[1:]) for z in checkpoints])
    if views is not None:
        both = [_of_views(z, v, count) for z, v in zip(checkpoints, views, strict=True)]
        left_out["alignment"] = np.stack([each[0] for each in both])
        left_out[RETRIEVAL] = np.stack([each[1] for each in both])
    if classes is not None:
        found = _probes(checkpoints, classes, neighbours, tolerance)
        left_out[NEAREST], left_out[LINEAR], tested = found
    for name, replicates in left_out.items():
        values[name], errors[name] = replicates[:, -1], jackknife_error(replicates[:, :-1])
    for name in {NEAREST, LINEAR, RETRIEVAL} & left_out.keys():
        # where all rows are right, the jackknife has no error
        rows = [min(len(z), ROWS) if name == RETRIEVAL else tested for z in checkpoints]
        least = list(map(binomial_error, map(float, values[name]), rows))
        errors[name] = np.maximum(errors[name], least)
    if classes is not None:
        criterion, rule = left_out[LINEAR], f"the highest {LINEAR}"
    elif views is not None:
        criterion, rule = left_out[RETRIEVAL], f"the highest {RETRIEVAL}"
    else:
        return Table(values, errors, None, (), "")
    best, near = choose(criterion)
    return Table(values, errors, best, near, rule, criterion)


def choose(replicates: np.ndarray) -> tuple[int, tuple[int, ...]]:
    """Return the checkpoint of the highest criterion, and those not distinguishable from it.

    Example:
        >>> choose(np.array([[0.1, 0.1, 0.1], [0.8, 0.9, 0.85], [0.9, 0.8, 0.84]]))
        (1, (2,))

    Args:
        replicates: (checkpoints, groups + 1) criterion without each group, and with all rows.
    """
    whole = replicates[:, -1]
    best = int(np.argmax(whole))
    differences = replicates[best] - replicates
    errors = jackknife_error(differences[:, :-1])
    near = np.flatnonzero(differences[:, -1] <= SURE * errors)
    return best, tuple(int(i) for i in near if i != best)


def jackknife_error(replicates: np.ndarray) -> np.ndarray:
    """Return the standard error from values (..., groups) that leave one group out each.

    Example:
        >>> means = np.array([[2.5, 2.0, 1.5]])  # of 1, 2, 3 without one of them
        >>> print(jackknife_error(means).round(3))  # the standard error of their mean
        [0.577]
    """
    groups = replicates.shape[-1]
    return np.sqrt((groups - 1) * np.var(replicates, axis=-1))


def _sample(z: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return numbers of rows, those rows in float64, and the group of each; the same for equal n.

    All checkpoints have `count` groups, as many as the one with the fewest rows can have.

    The draws do not depend on the content, so that checkpoints are compared on the same rows.
    """
    draws = np.random.default_rng(0)
    chosen = np.sort(draws.choice(len(z), min(len(z), ROWS), replace=False))
    groups = draws.permutation(len(chosen)) % count
    return chosen, np.asarray(z[chosen], np.float64), groups


def _uniformity(z: np.ndarray, groups: np.ndarray) -> np.ndarray:
    u = unit(z)
    squares = np.square(u).sum(1)
    kernel = np.exp(-2 * np.maximum(squares[:, None] + squares - 2 * u @ u.T, 0))
    np.fill_diagonal(kernel, 0)
    member = np.eye(groups.max() + 1)[groups]
    by_group = member.T @ kernel @ member
    counts = member.sum(0)
    total, alone = by_group.sum(), np.diag(by_group)
    rest = total - 2 * by_group.sum(0) + alone
    kept = len(z) - counts
    with np.errstate(divide="ignore", invalid="ignore"):
        without = np.log(rest / (kept * (kept - 1)))
        return np.append(without, np.log(total / (len(z) * (len(z) - 1))))


def _of_views(z: np.ndarray, second: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return alignment and same-sample retrieval."""
    chosen, part, groups = _sample(z, count)
    first, other = unit(part), unit(np.asarray(second[chosen], np.float64))
    apart = np.square(first - other).sum(1)
    similar = first @ other.T
    # the pair itself has to be nearer than all others, so that a constant retrieves nothing
    own = np.diag(similar).copy()
    np.fill_diagonal(similar, -np.inf)
    found = own > similar.max(1) + 1e-12
    return _left_out_means(apart, groups), _left_out_means(found.astype(float), groups)


def _left_out_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    sums, counts = np.bincount(groups, values), np.bincount(groups)
    kept = np.maximum(len(values) - counts, 1)
    return np.append((values.sum() - sums) / kept, values.mean())


def _probes(
    checkpoints: Sequence[np.ndarray], classes: np.ndarray, neighbours: int, tolerance: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return accuracies of both probes on one split for all checkpoints, and samples tested."""
    from jssl.diagnosis.copies import find_copies

    draws = np.random.default_rng(0)
    labelled = np.flatnonzero(classes >= 0)
    rows = np.sort(draws.choice(labelled, min(len(labelled), ROWS), replace=False))
    known = np.unique(classes[rows], return_inverse=True)[1]
    scaled = [standardised(np.asarray(z[rows], np.float64), tolerance) for z in checkpoints]
    copies = find_copies(scaled[-1], known, rows, len(classes))
    fit, test = split(copies.groups, draws)
    held = draws.permutation(int(copies.groups.max()) + 1)[copies.groups[test]] % GROUPS
    held = np.unique(held, return_inverse=True)[1]
    nearest, linear = [], []
    for z, wide in zip(checkpoints, scaled, strict=True):
        plain = np.asarray(z[rows], np.float64)
        votes = nearest_found(plain[fit], known[fit], plain[test], known[test], neighbours)
        found = logistic_found(wide[fit], known[fit], wide[test], known[test])[0]
        nearest.append(_left_out_means(votes.astype(float), held))
        linear.append(_left_out_means(found.astype(float), held))
    return np.stack(nearest), np.stack(linear), len(np.unique(copies.groups[test]))
