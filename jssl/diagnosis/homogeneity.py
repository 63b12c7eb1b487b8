"""A permutation test of whether several sets of embeddings have one distribution.

The statistic is the sum over sets of the mean of k(x, y) within the set, times its rows, for the
kernel k = c + c^2 with c = x.y of pooled, centred rows in units of its own standard deviation: a
kernel test (Gretton et al. 2012, JMLR 13) of means and second moments, hence of spectra.
"""

from collections.abc import Sequence

import numpy as np

SETS, ROWS, PERMUTATIONS = 10, 2000, 199


def same_distribution(sets: Sequence[np.ndarray], draws: np.random.Generator) -> float:
    """Return the p-value of the hypothesis that the rows of all sets have one distribution.

    Example:
        >>> draws = np.random.default_rng(0)
        >>> a, b, c = draws.normal(size=(3, 100, 4))
        >>> print(same_distribution([a, b, c], draws) > 0.05)
        True
        >>> print(same_distribution([a, b, 2 * c], draws))
        0.005

    Args:
        sets: (rows, dim) each, of one dim; up to ten of them, evenly spaced, are compared, on a
            random sample of up to 2,000 rows in all.
        draws: of the sample and the permutations.

    Returns:
        In (0, 1]; at least 1 / 200.
    """
    chosen = np.unique(np.linspace(0, len(sets) - 1, min(len(sets), SETS)).round().astype(int))
    most = ROWS // len(chosen)
    parts = []
    for i in chosen:
        z = sets[i]
        few = np.sort(draws.choice(len(z), min(most, len(z)), replace=False))
        parts.append(np.asarray(z[few], np.float64))
    pooled = np.concatenate(parts)
    pooled = pooled - pooled.mean(0)
    gram = pooled @ pooled.T
    np.fill_diagonal(gram, 0)
    size = np.sqrt(np.mean(gram**2))
    gram = gram / (size or 1)
    gram += gram**2
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    member = np.eye(len(parts))[owner] / np.sqrt(np.bincount(owner))
    observed = np.sum(member * (gram @ member))
    above = 1
    for _ in range(PERMUTATIONS):
        mixed = member[draws.permutation(len(member))]
        above += np.sum(mixed * (gram @ mixed)) >= observed * (1 - 1e-12)
    return float(above / (PERMUTATIONS + 1))
