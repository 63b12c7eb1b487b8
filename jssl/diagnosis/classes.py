"""The spectrum of every class, which shows a collapsed class that the aggregate hides.

Ten classes at ten places fill nine directions, whether or not the rows of one of them are all
equal. So each class is compared with the others: it has collapsed to a point where its variance is
at most `POINT` of the median class, and to few directions where it has at most `FEW` effective
directions and a third of those of the median class.
"""

from typing import NamedTuple

import numpy as np

from jssl.formulas.verdict import effective_directions

POINT = 0.01
FEW, FEWER = 2.5, 3.0
LEAST, LEAST_FEW = 5, 20
"""Rows that a class needs for its variance, and for its number of directions."""

_LISTED = 5


class ClassSpectrum(NamedTuple):
    """The spectrum of the rows of one class around their mean.

    Attributes:
        name: of the class.
        rows: their number.
        variance: trace of their covariance.
        relative: that over the median of all classes.
        directions: effective directions, corrected for the number of rows.
        leading: share of the variance in the leading direction.
        collapse: "none", "few directions", "one point", or "unknown" with too few rows.
    """

    name: str
    rows: int
    variance: float
    relative: float
    directions: float
    leading: float
    collapse: str


def class_spectra(
    z: np.ndarray, classes: np.ndarray, names: tuple[str, ...]
) -> tuple[ClassSpectrum, ...]:
    """Return the spectrum of each class.

    Example:
        >>> draws = np.random.default_rng(0)
        >>> z = draws.normal(size=(90, 10))
        >>> z[60:] = z[60]
        >>> seen = class_spectra(z, np.repeat([0, 1, 2], 30), ("cat", "dog", "owl"))
        >>> [each.collapse for each in seen]
        ['none', 'none', 'one point']

    Args:
        z: (n, dim) float64.
        classes: (n,) integers from 0 to len(names) - 1; others are left out.
        names: of the classes.
    """
    found = []
    for number, name in enumerate(names):
        few = z[classes == number]
        if not len(few):
            continue
        centred = few - few.mean(0)
        short = centred @ centred.T if len(few) < z.shape[1] else centred.T @ centred
        values = np.maximum(np.linalg.eigvalsh(short / len(few))[::-1], 0)
        variance = float(values.sum())
        directions = float(effective_directions(values, len(few), np)) if len(few) > 2 else np.nan
        leading = float(values[0] / variance) if variance > 0 else 0.0
        found.append(ClassSpectrum(name, len(few), variance, 1.0, directions, leading, "unknown"))
    known = [each for each in found if each.rows >= LEAST]
    if len(known) < 2:
        return tuple(found)
    typical = float(np.median([each.variance for each in known]))
    many = float(np.median([each.directions for each in known]))
    return tuple(_compared(each, typical, many) for each in found)


def _compared(each: ClassSpectrum, typical: float, many: float) -> ClassSpectrum:
    relative = each.variance / typical if typical > 0 else 1.0
    collapse = "none" if each.rows >= LEAST else "unknown"
    few = each.directions <= min(FEW, many / FEWER)
    if each.rows >= LEAST_FEW and few:
        collapse = "few directions"
    if each.rows >= LEAST and relative <= POINT:
        collapse = "one point"
    return each._replace(relative=relative, collapse=collapse)


def class_sentences(found: tuple[ClassSpectrum, ...]) -> list[str]:
    """Return which classes have collapsed, as sentences; none where no class has.

    Args:
        found: the classes.
    """
    lines = []
    for collapse, what in (
        ("one point", f"to one point (at most {POINT:.0%} of the median variance of a class)"),
        ("few directions", f"to few directions (at most {FEW:g})"),
    ):
        named = [each for each in found if each.collapse == collapse]
        if not named:
            continue
        shown = ", ".join(
            f"{each.name} ({each.directions:.2g} directions, {each.relative:.2g} of the median "
            "variance)"
            for each in named[:_LISTED]
        )
        shown += ", ..." if len(named) > _LISTED else ""
        has = "has" if len(named) == 1 else "have"
        lines.append(f"{len(named)} of {len(found)} classes {has} collapsed {what}: {shown}.")
    return lines


def within_share(z: np.ndarray, classes: np.ndarray) -> float:
    """Return the share of the variance that lies within classes; NaN without variance.

    Example:
        >>> within_share(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0, 0, 1, 1]))
        0.0
    """
    counts = np.bincount(classes)
    sums = np.zeros((len(counts), z.shape[1]))
    np.add.at(sums, classes, z - z.mean(0))
    total = float(np.square(z - z.mean(0)).sum())
    between = float((np.square(sums).sum(1) / np.maximum(counts, 1)).sum())
    return max(1 - between / total, 0.0) if total > 0 else float("nan")
