"""Claims on errors, bias, rotations and order of the modes of subsets.

Tolerances are 3.9 standard errors over the subsets and the next order of the theory, whose relative
size is `Reference.next_order`: once for a standard deviation, three times for a mean square.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from jssl.papers.claims import close
from jssl.papers.rivals import factors, powers
from jssl.papers.samples.subsets import (
    Mean,
    Moved,
    Reference,
    average,
    exchanged_share,
    rotation_ratio,
    shift_ratio,
    slope,
    spread_ratio,
)
from jssl.theory import stepwise
from jssl.types import Claim, Rival

Z = 3.9
"""Standard errors: two-sided 1e-4."""
START = 1e-3
"""Scale of the start of the steps."""


def source(*marks: str) -> str:
    """Return the source of a claim."""
    return f"Derived here; {', '.join(marks)} in docs/equations.md"


def errors(
    name: str, phrase: str, reference: Reference, moved: Sequence[Moved]
) -> tuple[Claim, ...]:
    """Claim the standard error of the eigenvalues, and how it falls."""
    last = moved[-1]
    ratio = spread_ratio(reference, last)
    order = float(reference.next_order(last.n).mean())
    replaced = (1 - last.n / reference.total) ** -0.5
    return (
        close(
            f"samples/error-{name}",
            f"Eigenvalues of {phrase} spread over subsets of the pairs by their predicted standard "
            "error.",
            source("P-2"),
            1.0,
            ratio.value,
            Z * ratio.error + order,
            details=f"The root mean square over {_counted(reference)} and {len(last.shifts)} "
            f"subsets of {last.n:,} of {reference.total:,} pairs, over the predicted error. The "
            f"tolerance is {Z} standard errors and the next order, {order:.2g}.",
            rivals=(
                Rival("the two orders of a pair count as independent samples", 0.5**0.5),
                Rival("pairs drawn with replacement", replaced),
                Rival("errors twice as large", 2.0),
            ),
            standard_error=ratio.error,
        ),
        first_error(name, phrase, reference, moved),
        _exponent(
            f"samples/error-exponent-{name}",
            f"The error of the first eigenvalue of {phrase} falls as the inverse root of the "
            "number of pairs.",
            "P-2",
            -0.5,
            [_scaled(spread_ratio(reference, each, slice(1)), each.m**-0.5) for each in moved],
            reference, moved, (0.0, -0.25, -1.0),
        ),
    )  # fmt: skip


def first_error(name: str, phrase: str, reference: Reference, moved: Sequence[Moved]) -> Claim:
    """Claim the standard error of the first block at all sizes."""
    ratio = average([spread_ratio(reference, each, slice(1)) for each in moved])
    order = float(np.mean([reference.next_order(each.n)[0] for each in moved]))
    return close(
        f"samples/error-first-{name}",
        f"The first eigenvalue of {phrase} spreads over subsets of any size by its predicted "
        "standard error.",
        source("P-2"),
        1.0,
        ratio.value,
        Z * ratio.error + order,
        details=f"The mean over subsets of {_listed(moved)} of {reference.total:,} pairs. The "
        f"tolerance is {Z} standard errors and the next order, {order:.2g}.",
        rivals=factors(1.0, "half of the error", "twice the error"),
        standard_error=ratio.error,
    )


def shifts(
    name: str, phrase: str, reference: Reference, moved: Sequence[Moved]
) -> tuple[Claim, ...]:
    """Claim the mean shift of the eigenvalues, and how it falls."""
    last, predicted = moved[-1], reference.predicted
    ratio = shift_ratio(reference, last)
    weights = np.abs(predicted.shifts) / reference.sums(reference.eigenvalues)
    order = float(weights @ reference.next_order(last.n) / weights.sum())
    signed = 1 / reference.sums(reference.eigenvalues)
    shown = 1 - float(predicted.shifts_by_tail @ signed / (predicted.shifts @ signed))
    rivals = [Rival("no bias", 0.0), *factors(1.0, "half of the sum", "twice the sum")]
    if shown < 0.99:
        rivals.append(Rival("only the modes that are followed count", shown))
    return (
        close(
            f"samples/bias-{name}",
            f"Eigenvalues of {phrase} from few pairs are too large on average by the predicted "
            "sum over all modes.",
            source("P-3", "P-5"),
            1.0,
            ratio.value,
            Z * ratio.error + 3 * order,
            details=f"The mean relative shift over {_counted(reference)} and "
            f"{len(last.shifts)} subsets of {last.n:,} of {reference.total:,} pairs, over the "
            "predicted one; the part of first order, whose mean is zero, is subtracted. The "
            f"tolerance is {Z} standard errors and three times the next order, {order:.2g}.",
            rivals=rivals,
            standard_error=ratio.error,
        ),
        _exponent(
            f"samples/bias-exponent-{name}",
            f"The bias of the first eigenvalue of {phrase} falls as the inverse number of pairs.",
            "P-3",
            -1.0,
            [_scaled(shift_ratio(reference, each, slice(1)), 1 / each.m) for each in moved],
            reference, moved, (0.0, -0.5, -2.0),
        ),
    )  # fmt: skip


def rotations(name: str, phrase: str, reference: Reference, last: Moved) -> Claim:
    """Claim how far the subspaces of modes turn."""
    ratio = rotation_ratio(reference, last)
    predicted = reference.predicted
    weights = np.asarray(predicted.rotations) / reference.sizes()
    order = float(weights @ reference.next_order(last.n) / weights.sum())
    return close(
        f"samples/rotation-{name}",
        f"The learned directions of {phrase} turn away from those of all pairs by the predicted "
        "angle.",
        source("P-4", "P-5"),
        1.0,
        ratio.value,
        Z * ratio.error + 3 * order,
        details="One minus the squared overlap of a mode with the subspace of its block, the mean "
        f"over {_counted(reference)} and {len(last.shifts)} subsets of {last.n:,} of "
        f"{reference.total:,} pairs, over the predicted one. The tolerance is {Z} standard errors "
        f"and three times the next order, {order:.2g}.",
        rivals=(
            *factors(1.0, "half of the sum", "twice the sum"),
            Rival("the directions of few pairs are those of all", 0.0),
        ),
        standard_error=ratio.error,
    )


def exchanges(name: str, phrase: str, reference: Reference, moved: Sequence[Moved]) -> Claim:
    """Claim how often neighbouring modes are exchanged, all but the first and the last two."""
    chosen = slice(1, len(reference.gaps) - 1)
    seen = exchanged_share(moved, chosen)

    def share(factor: float) -> float:
        return float(np.mean([_exchanged(reference, each.m * factor)[chosen] for each in moved]))

    predicted = share(1.0)
    shift = [_shifted(reference, each.m)[chosen] for each in moved]
    order = abs(float(np.mean(shift)) - predicted)
    return close(
        f"samples/order-{name}",
        f"Neighbouring modes of {phrase} change places in as many subsets as the error of their "
        "gap predicts.",
        source("P-6"),
        predicted,
        seen.value,
        Z * seen.error + order,
        details=f"The share of subsets in which two neighbours of modes 2 to "
        f"{len(reference.gaps)} overlap more with each other's than with their own reference, "
        f"over {_listed(moved)} pairs. The tolerance is {Z} standard errors and the effect of the "
        f"bias on the gaps, {order:.2g}.",
        rivals=(
            Rival("the order is that of all pairs", 0.0),
            Rival("the two orders of a pair count as independent samples", share(2.0)),
            Rival("errors twice as large", share(0.25)),
        ),
        standard_error=seen.error,
    )  # fmt: skip


def steps(name: str, phrase: str, reference: Reference, last: Moved) -> Claim:
    """Claim that the step of the first mode moves by the share of its eigenvalue."""
    scale = START / reference.eigenvalues[0] ** 0.5
    times = np.asarray(stepwise.half_time(scale, last.values[:, 0]))
    logs = np.log(times)
    gamma = reference.eigenvalues[0]
    error = float(np.sqrt(reference.predicted.variances[0] / last.m) / gamma)
    values = np.square(logs - logs.mean()) / error**2 * len(logs) / (len(logs) - 1)
    ratio = float(values.mean() ** 0.5)
    spread = float(values.std(ddof=1) / len(logs) ** 0.5 / (2 * ratio))
    predicted = 1 + 1 / np.log(1 / START**2 - 1)
    order = float(reference.next_order(last.n)[0])
    return close(
        f"samples/steps-{name}",
        f"The predicted step of the first mode of {phrase} spreads over subsets by the relative "
        "error of its eigenvalue.",
        source("P-7", "S-7"),
        predicted,
        ratio,
        Z * spread + order,
        details=f"The standard deviation of the logarithm of the half time from outputs of "
        f"{START:g}, over the predicted relative error of the eigenvalue; the derivative of the "
        f"logarithm in the half time is included. Subsets of {last.n:,} pairs. The tolerance is "
        f"{Z} standard errors and the next order, {order:.2g}.",
        rivals=(
            Rival("the step goes with the root of the eigenvalue", predicted / 2),
            Rival("the step goes with the square of the eigenvalue", 2 * predicted),
        ),
        standard_error=spread,
    )


def _exponent(
    name: str,
    statement: str,
    mark: str,
    predicted: float,
    means: Sequence[Mean],
    reference: Reference,
    moved: Sequence[Moved],
    rivals: Sequence[float],
) -> Claim:
    """Claim an exponent of the first block in the number of effective pairs."""
    found = slope([each.m for each in moved], means)
    order = float(reference.next_order(moved[0].n)[0])
    span = float(np.log(moved[-1].m / moved[0].m))
    return close(
        name,
        statement,
        source("P-1", mark),
        predicted,
        found.value,
        Z * found.error + 3 * order / span,
        details=f"A fit of logarithms over subsets of {_listed(moved)} of {reference.total:,} "
        "pairs, in the number of effective pairs. The tolerance is "
        f"{Z} standard errors and three times the next order, {order:.2g}, over the logarithm of "
        "the range.",
        rivals=powers(*rivals),
        standard_error=found.error,
    )


def _exchanged(reference: Reference, m: float) -> np.ndarray:
    gaps = -np.diff(reference.eigenvalues)
    return np.asarray(norm.cdf(-gaps / np.sqrt(reference.gaps / m)))


def _shifted(reference: Reference, m: float) -> np.ndarray:
    gaps = -np.diff(reference.eigenvalues) + reference.pushes / m
    return np.asarray(norm.cdf(-gaps / np.sqrt(reference.gaps / m)))


def _scaled(mean: Mean, factor: float) -> Mean:
    return Mean(mean.value * factor, mean.error * factor)


def _counted(reference: Reference) -> str:
    names = [f"{a + 1}" if b == a + 1 else f"{a + 1} to {b}" for a, b in reference.blocks]
    return f"the blocks of modes {', '.join(names)}"


def _listed(moved: Sequence[Moved]) -> str:
    return ", ".join(f"{each.n:,}" for each in moved)
