"""The collapse verdict on moments, as `jssl.diagnose` states it."""

from typing import NamedTuple

import numpy as np

from jssl.diagnosis.judgement import judge_moments, with_sample
from jssl.diagnosis.verdict_sentences import headline
from jssl.formulas.moments import Moments
from jssl.formulas.verdict import CONSTANT, Thresholds
from jssl.formulas.verdict import KINDS as KINDS


class Judged(NamedTuple):
    """A verdict on moments.

    Attributes:
        kind: an index of `jssl.diagnostics.KINDS`.
        rank: numerical rank.
        spread: variance as a share of the mean square.
        sentence: why, with its numbers.
    """

    kind: int
    rank: float
    spread: float
    sentence: str


def judged(of_rows: Moments, sample: np.ndarray) -> Judged:
    """Return the verdict on rows of which only the moments and a sample are known.

    Rows with at most `CONSTANT` of their mean square as variance are a complete collapse here,
    whatever their spectrum. Trained encoders have more, even with biases; untrained ones may have
    less.

    Example:
        >>> scatter = 100 * np.diag([1.0, 0.12] + [0.001] * 8)
        >>> found = judged(Moments(100, np.zeros(10), scatter), np.eye(10))
        >>> KINDS[found.kind], found.rank
        ('dimensional', 10.0)

    Args:
        of_rows: their moments.
        sample: (rows, dim) of them, all finite.
    """
    thresholds = Thresholds(point=CONSTANT)
    found = with_sample(judge_moments(of_rows, thresholds), sample, thresholds)
    seen = found.verdict
    sentence = headline(found, thresholds).rstrip(".")
    sentence = sentence[0].lower() + sentence[1:]
    return Judged(int(seen.kind), float(seen.rank), float(seen.spread), sentence)
