"""Find the rows that are views or copies of one sample, so that no probe is tested on copies.

Two rows are linked by one of two criteria. The connected components of the links are the groups.

distance   Of n rows with a class, d_k is the distance to the k-th neighbour. Where rows are spread
           smoothly over a space of dimension D about a point, k grows as d^D (Levina and Bickel
           2004; D is read from the neighbours K/2 to K). A neighbour at less than half of d_K where
           fewer than 1/1000 such pairs would be found by chance among all rows is linked.
order      Where the nearest neighbour of most rows is at the distance in the file that m stacked
           copies of a set have (i, i + n/m, ...), or within the same block of m consecutive rows,
           those are the groups.

Groups that hold most of a class are the class itself, in a tight cluster, and groups whose labels
differ are a collapse: neither is a set of copies.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import binom

NEIGHBOURS = 64
"""K: groups of more copies than this are found by their order alone."""

COPIES = 512
"""The most copies of one sample that are found by their order."""

_CHANCE, _TIGHT = 1e-3, 0.5
_STACKED, _BLOCKS = 0.2, 0.5  # share of rows beyond chance; sorted data have similar neighbours too
_PURE, _OF_CLASS = 0.7, 1 / 3


class Copies(NamedTuple):
    """Groups of rows that are views or copies of one sample.

    Attributes:
        groups: (n,) number of each row's group; a row without copies is a group of its own.
        caveat: what the user should know about the groups; None without near-duplicates.
        any_copies: whether any group has more than one row.
    """

    groups: np.ndarray
    caveat: str | None
    any_copies: bool


def find_copies(
    z: np.ndarray, classes: np.ndarray, at: np.ndarray, total: int, *, ordered: bool = True
) -> Copies:
    """Return the groups of rows that are copies or views of one sample.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(50, 8))
        >>> copies = find_copies(np.repeat(z, 2, 0), np.arange(100) // 2 % 3, np.arange(100), 100)
        >>> int(copies.groups.max()) + 1, copies.groups[:4].tolist()
        (50, [0, 0, 1, 1])

    Args:
        z: (n, dim) with columns on one scale.
        classes: (n,) integers from 0.
        at: (n,) positions of these rows in the file.
        total: rows of the file.
        ordered: whether views of one sample are also looked for by their positions in the file.
    """
    n = len(z)
    alone = np.arange(n)
    distances, nearest = _neighbours(z)
    candidates = [
        (_by_distance(z, distances, nearest), NEIGHBOURS),
        (_by_order(classes, at, total, nearest[:, 0]) if ordered else None, COPIES),
    ]
    groups, refused = alone, 0
    for candidate, most in candidates:
        if candidate is None or candidate.max() + 1 == n:
            continue
        if _are_copies(candidate, classes, most):
            groups = join(groups, candidate)
        else:
            size_of_group = np.bincount(candidate)[candidate]
            refused = max(refused, int((size_of_group > 1).sum()))
    sizes = np.bincount(groups)
    rows = int(sizes[sizes > 1].sum())
    if rows:
        count = int((sizes > 1).sum())
        caveat = (
            f"{rows:,} of {n:,} labelled rows have near-duplicates, which are views or copies of "
            f"one sample. They form {count:,} {'group' if count == 1 else 'groups'} of up to "
            f"{sizes.max():,} rows. The split of the probes keeps each group on one side."
        )
        return Copies(groups, caveat, True)
    caveat = (
        f"{refused:,} of {n:,} labelled rows nearly coincide with most rows of their class or with "
        "rows of other classes. They were not treated as copies of one sample. If they are copies, "
        "pass one row for each sample."
    )
    return Copies(groups, caveat if refused else None, False)


def _neighbours(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.neighbors import NearestNeighbors

    few = min(NEIGHBOURS, len(z) - 1)
    return NearestNeighbors(n_neighbors=few, algorithm="brute").fit(z).kneighbors()


def _by_distance(z: np.ndarray, distances: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    n, most = distances.shape
    far, half = distances[:, -1], distances[:, max(most // 2 - 1, 0)]
    zero = 1e-7 * np.sqrt(np.mean(np.sum(z**2, 1)))
    spread = (half > zero) & (far > half)
    growth = np.median(np.log(far[spread] / half[spread])) if spread.any() else 0
    share = _CHANCE / (n * most)
    # share^(1/D) with D = log(K / (K/2)) / growth
    cut = min(_TIGHT, share ** (growth / np.log(most / max(most // 2, 1)))) if most > 1 else 0
    bar = np.minimum(far[:, None], far[nearest]) * cut
    linked = distances <= np.maximum(bar, zero)
    same = np.unique(z, axis=0, return_inverse=True)[1].ravel()
    return join(_components(n, np.repeat(np.arange(n), linked.sum(1)), nearest[linked]), same)


def _by_order(
    classes: np.ndarray, at: np.ndarray, total: int, first: np.ndarray
) -> np.ndarray | None:
    """Return groups by position in the file, where nearest neighbours support them."""
    best, groups = 0.0, None
    for m in (m for m in range(2, min(COPIES, total // 2) + 1) if total % m == 0):
        for candidate, least in ((at % (total // m), _STACKED), (at // m, _BLOCKS)):
            pairs = np.unique(np.stack([candidate, classes]), axis=1, return_inverse=True)[
                1
            ].ravel()
            others = np.bincount(pairs)[pairs] - 1
            with_copy = (others > 0) & (np.bincount(candidate)[candidate] > 1)
            tries = int(with_copy.sum())
            if not tries:
                continue
            chance = np.mean(others[with_copy] / (np.bincount(classes)[classes][with_copy] - 1))
            hits = int((candidate[first] == candidate)[with_copy].sum())
            score = (hits / tries - chance) / max(1 - chance, 1e-12)
            sure = binom.sf(hits - 1, tries, chance) < 1e-6
            if score > max(best, least) and sure and _are_copies(candidate, classes, COPIES):
                best, groups = score, np.unique(candidate, return_inverse=True)[1]
    return groups


def _are_copies(groups: np.ndarray, classes: np.ndarray, most: int) -> bool:
    """Return whether groups are copies: of one class each, and a small part of that class."""
    pairs = np.unique(np.stack([groups, classes]), axis=1, return_inverse=True)[1].ravel()
    size, alike = np.bincount(groups)[groups], np.bincount(pairs)[pairs]
    several = size > 1
    if not several.any():
        return False
    pure = np.mean(alike[several] / size[several])
    of_class = np.mean(alike[several] / np.bincount(classes)[classes][several])
    return bool(pure >= _PURE and of_class <= _OF_CLASS and size[several].mean() <= most)


def join(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the components of two groupings together, numbered in the order of the rows.

    Example:
        >>> join(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])).tolist()
        [0, 0, 0, 1]
    """
    n, above = len(a), len(a) + int(a.max()) + 1
    i = np.concatenate([np.arange(n), np.arange(n)])
    j = np.concatenate([n + a, above + b])
    return _components(above + int(b.max()) + 1, i, j)[:n]


def _components(size: int, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    graph = coo_array((np.ones(len(i), bool), (i, j)), shape=(size, size))
    return connected_components(graph, directed=False)[1]
