"""The verdict as sentences: the collapse, the numerical rank, and what was named and left out."""

import math

import numpy as np

from jssl.diagnosis.judgement import Judgement
from jssl.diagnosis.outliers import Outliers
from jssl.formulas.verdict import KINDS, Thresholds, Verdict, near_point, rank_limit, within

_LISTED = 5
_LARGE_MEAN = 0.9


def verdict_sentences(judged: Judgement, rows: int, thresholds: Thresholds) -> list[str]:
    """Return the collapse, the numerical rank, and a line for each kind of outlier.

    Args:
        judged: the verdict.
        rows: number of all rows, outliers included.
        thresholds: of the verdict.
    """
    verdict = judged.verdict
    lines = [headline(judged, thresholds)]
    if int(verdict.rank) > 0:
        lines.append(_rank(judged, thresholds))
    lines += _outliers(judged, rows)
    return lines


def headline(judged: Judgement, thresholds: Thresholds) -> str:
    """Return the verdict as a sentence, with the numbers that decide it."""
    verdict = judged.verdict
    kind, spread = KINDS[int(verdict.kind)], float(verdict.spread)
    if kind == "complete" and spread <= thresholds.point:
        return (
            "Complete collapse: all rows are nearly one point. Their variance is "
            f"{_percent(spread)} of their mean square ({_percent(thresholds.point)} or less is "
            "a collapse)."
        )
    if kind == "complete":
        return (
            "Complete collapse: all rows have nearly one direction. Their mean cosine is "
            f"{1 - float(verdict.directional):.4g} ({1 - thresholds.constant:g} or more is a "
            "collapse), and only their lengths differ."
        )
    if not bool(near_point(verdict, thresholds)):
        return _of_centred(verdict, thresholds)
    around = _of_centred(verdict, thresholds).replace("No collapse: the", "the")
    return (
        f"Near one point: the variance of the rows is {_percent(spread)} of their mean square "
        f"({_percent(thresholds.constant)} or less). After training this is a complete collapse; "
        "an untrained network with biases does the same. Around the point, "
        f"{around[0].lower()}{around[1:]}"
    )


def _of_centred(verdict: Verdict, thresholds: Thresholds) -> str:
    """Return the verdict on the rows less their mean as a sentence."""
    kind = KINDS[int(verdict.kind)]
    directions, leading = float(verdict.directions), _percent(float(verdict.leading))
    few = counted(f"{directions:.2g}", "direction")
    if kind == "dimensional":
        pairs = thresholds.dimensional
        limit, rank = next(pair for pair in pairs if bool(within(verdict, *pair)))
        if math.isinf(rank):
            return (
                f"Dimensional collapse: the variance lies in about {few} (at most {limit:g}); the "
                f"leading one has {leading} of it."
            )
        return (
            f"Dimensional collapse: the effective rank is {float(verdict.effective_rank):.2g} of "
            f"{verdict.possible:,} possible (at most {rank_limit(verdict.possible, rank):.2g} "
            f"is a collapse) and the variance lies in about {few} (at most {limit:g}); the leading "
            f"one has {leading} of it."
        )
    line = (
        "No collapse: the variance is spread over about "
        f"{counted(f'{directions:.3g}', 'direction')}, and the leading one has {leading} of it."
    )
    if verdict.possible > 2:
        return line
    few = "1 direction is" if verdict.possible == 1 else "2 directions are"
    return f"{line} Only {few} possible, too few to show a dimensional collapse."


def counted(number: str, noun: str) -> str:
    """Return a number with its noun.

    Example:
        >>> counted("1", "direction"), counted("1.5", "direction")
        ('1 direction', '1.5 directions')
    """
    return f"{number} {noun if number == '1' else noun + 's'}"


def _rank(judged: Judgement, thresholds: Thresholds) -> str:
    verdict = judged.verdict
    line = (
        f"The numerical rank is {int(verdict.rank):,} of {verdict.possible:,} possible (variance "
        f"above {thresholds.tolerance:g} of the largest)."
    )
    empty = verdict.possible - int(verdict.rank)
    if empty:
        line += f" {empty:,} {'direction is' if empty == 1 else 'directions are'} empty."
    if judged.points <= judged.dim:
        line += (
            f" {judged.points:,} rows cannot show more; the number of directions is corrected for "
            "this."
        )
    share = 1 - float(verdict.spread)
    if share >= _LARGE_MEAN:
        line += (
            f" All rows share a constant offset with {_percent(share)} of the mean square: "
            "subtract their mean before you compare them by cosines."
        )
    return line


def _outliers(judged: Judgement, rows: int) -> list[str]:
    found, lines = judged.outliers, []
    if len(found.coordinates):
        lines.append(_coordinates(found, judged.dim))
    if len(found.rows):
        one = len(found.rows) == 1
        lines.append(
            f"{'Row' if one else 'Rows'} {_listed(found.rows)} of {rows:,} "
            f"{'is an outlier' if one else 'are outliers'}, more than ten times as far from the "
            "mean as the median row. The verdict leaves "
            f"{'it' if one else 'them'} out; the metrics include {'it' if one else 'them'}."
        )
    if len(found.dead):
        count = len(found.dead)
        units = "1 unit is" if count == 1 else f"{count:,} units are"
        lines.append(f"{units} dead (the same value in every row): {_listed(found.dead)}.")
    return lines


def _coordinates(found: Outliers, rest: int) -> str:
    parts = []
    for large, what in ((True, "a large constant offset"), (False, "a much larger variance")):
        chosen = found.coordinates[found.offset == large]
        if len(chosen):
            named = "Coordinate" if len(chosen) == 1 else "Coordinates"
            has = "has" if len(chosen) == 1 else "have"
            parts.append(
                f"{named} {_listed(chosen)} {has} {what} than the others"
                if not large
                else f"{named} {_listed(chosen)} {has} {what}"
            )
    return (
        f"{'. '.join(parts)}. The verdict is about the other {rest:,} coordinates; the metrics "
        "include all."
    )


def _listed(numbers: np.ndarray) -> str:
    shown = ", ".join(f"{number}" for number in numbers[:_LISTED])
    return f"{shown}, ... ({len(numbers):,} in all)" if len(numbers) > _LISTED else shown


def _percent(share: float) -> str:
    """Return a share in per cent with two digits, and more near 100.

    Example:
        >>> _percent(0.5), _percent(0.99951), _percent(5.7e-4)
        ('50 %', '99.95 %', '0.057 %')
    """
    percent = 100 * share
    if percent >= 99:
        return "100 %" if percent >= 99.9995 else f"{percent:.4g} %"
    return f"{percent:.2g} %"
