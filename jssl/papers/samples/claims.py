"""Claims on errors, bias, rotations and order of the modes of subsets.

Tolerances are 3.9 standard errors over the subsets and the next order of the theory, whose relative
size is `Reference.next_order`: once for a standard deviation, three times for a mean square. For
two modes with gap D, coupling b and gap error d, sin^2 of their angle is (b/D)^2 [1 - 3 (b/D)^2 +
3 (d/D)^2 ...], so three is enough.
"""

from collections.abc import Sequence

import numpy as np

from jssl.papers.claims import close
from jssl.papers.rivals import factors, powers
from jssl.papers.samples.subsets import (
    Mean,
    Moved,
    Reference,
    average,
    exchange_probabilities,
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
ALL = slice(None)
START = 1e-3
"""Scale of the start of the steps."""


def source(*marks: str) -> str:
    """Return the source of a claim."""
    return f"Derived here; {', '.join(marks)} in docs/equations.md"


def error(
    name: str,
    phrase: str,
    reference: Reference,
    moved: Sequence[Moved],
    rivals: Sequence[Rival] = (),
    chosen: slice = ALL,
) -> Claim:
    """Claim the standard error of the eigenvalues of blocks, the mean over sizes.

    Args:
        name: of the claim, after `samples/error-`.
        phrase: the eigenvalues in the statement.
        reference: all pairs.
        moved: subsets of each size.
        rivals: beside half and twice the error.
        chosen: blocks.
    """
    ratio = average([spread_ratio(reference, each, chosen) for each in moved])
    order = float(np.mean([reference.next_order(each.n)[chosen] for each in moved]))
    return close(
        f"samples/error-{name}",
        f"{phrase} spread over subsets of the pairs by their predicted standard error.",
        source("P-2"),
        1.0,
        ratio.value,
        Z * ratio.error + order,
        details=f"The root mean square over {_sample(reference, moved, chosen)}, over the "
        f"predicted error. The tolerance is {Z} standard errors and the next order, {order:.2g}.",
        rivals=(*factors(1.0, "half of the error", "twice the error"), *rivals),
        standard_error=ratio.error,
    )


def counted_twice(reference: Reference, last: Moved) -> tuple[Rival, ...]:
    """Return rivals of an error: wrong numbers of independent pairs."""
    return (
        Rival("the two orders of a pair count as independent samples", 0.5**0.5),
        Rival("pairs drawn with replacement", (1 - last.n / reference.total) ** -0.5),
    )


def error_exponent(name: str, phrase: str, reference: Reference, moved: Sequence[Moved]) -> Claim:
    """Claim how the error of the first eigenvalue falls with the number of pairs."""
    means = [_scaled(spread_ratio(reference, each, slice(1)), each.m**-0.5) for each in moved]
    found, tolerance, details = _exponent(means, reference, moved, 1)
    return close(
        f"samples/error-exponent-{name}",
        f"The error of the first eigenvalue of {phrase} falls as the inverse root of the number "
        "of pairs.",
        source("P-1", "P-2"),
        -0.5,
        found.value,
        tolerance,
        details=details,
        rivals=powers(0.0, -0.25, -1.0),
        standard_error=found.error,
    )


def bias(
    name: str,
    phrase: str,
    reference: Reference,
    moved: Sequence[Moved],
    chosen: slice = ALL,
) -> Claim:
    """Claim the mean shift of the eigenvalues of blocks, the mean over sizes.

    Args:
        name: of the claim, after `samples/bias-`.
        phrase: the eigenvalues in the statement.
        reference: all pairs.
        moved: subsets of each size.
        chosen: blocks.
    """
    ratio = average([shift_ratio(reference, each, chosen) for each in moved])
    signed = 1 / reference.sums(reference.eigenvalues)[chosen]
    predicted = np.asarray(reference.predicted.shifts)[chosen]
    weights = np.abs(predicted * signed)
    orders = [weights @ reference.next_order(each.n)[chosen] / weights.sum() for each in moved]
    order = float(np.mean(orders))
    tail = np.asarray(reference.predicted.shifts_by_tail)[chosen]
    shown = 1 - float(tail @ signed / (predicted @ signed))
    rivals = [Rival("no bias", 0.0), *factors(1.0, "half of the sum", "twice the sum")]
    if shown < 0.99:
        rivals.append(Rival("only the modes that are followed count", shown))
    return close(
        f"samples/bias-{name}",
        f"{phrase} from few pairs are too large on average by the predicted sum over all modes.",
        source("P-3", "P-5"),
        1.0,
        ratio.value,
        Z * ratio.error + 3 * order,
        details=f"The mean relative shift over {_sample(reference, moved, chosen)}, over the "
        "predicted one; the part of first order, whose mean is zero, is subtracted. The tolerance "
        f"is {Z} standard errors and three times the next order, {order:.2g}.",
        rivals=rivals,
        standard_error=ratio.error,
    )


def bias_exponent(name: str, phrase: str, reference: Reference, moved: Sequence[Moved]) -> Claim:
    """Claim how the bias of the first eigenvalue falls with the number of pairs."""
    means = [_scaled(shift_ratio(reference, each, slice(1)), 1 / each.m) for each in moved]
    found, tolerance, details = _exponent(means, reference, moved, 3)
    return close(
        f"samples/bias-exponent-{name}",
        f"The bias of the first eigenvalue of {phrase} falls as the inverse number of pairs.",
        source("P-1", "P-3"),
        -1.0,
        found.value,
        tolerance,
        details=details,
        rivals=powers(0.0, -0.5, -2.0),
        standard_error=found.error,
    )


def rotation(
    name: str,
    phrase: str,
    reference: Reference,
    moved: Sequence[Moved],
    chosen: slice = ALL,
) -> Claim:
    """Claim how far the subspaces of blocks turn, the mean over sizes.

    Args:
        name: of the claim, after `samples/rotation-`.
        phrase: the encoder in the statement.
        reference: all pairs.
        moved: subsets of each size.
        chosen: blocks.
    """
    ratio = average([rotation_ratio(reference, each, chosen) for each in moved])
    weights = np.asarray(reference.predicted.rotations)[chosen] / reference.sizes()[chosen]
    orders = [weights @ reference.next_order(each.n)[chosen] / weights.sum() for each in moved]
    order = float(np.mean(orders))
    return close(
        f"samples/rotation-{name}",
        f"The learned directions of {phrase} turn away from those of all pairs by the predicted "
        "angle.",
        source("P-4", "P-5"),
        1.0,
        ratio.value,
        Z * ratio.error + 3 * order,
        details="One minus the squared overlap of a mode with the subspace of its block, the mean "
        f"over {_sample(reference, moved, chosen)}, over the predicted one. The tolerance is {Z} "
        f"standard errors and three times the next order, {order:.2g}.",
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

    def share(factor: float, pushed: float = 1.0) -> float:
        """Return the share with that many times as many pairs."""
        shares = [exchange_probabilities(reference, each.m * factor, pushed) for each in moved]
        return float(np.mean([each[chosen] for each in shares]))

    predicted = share(1.0)
    effect = abs(predicted - share(1.0, 0.0))
    order = effect**2 / predicted
    return close(
        f"samples/order-{name}",
        f"Neighbouring modes of {phrase} change places in as many subsets as the error of their "
        "gap predicts.",
        source("P-6"),
        predicted,
        seen.value,
        Z * seen.error + order,
        details=f"The share of subsets in which two neighbours of modes 2 to {len(reference.gaps)} "
        f"overlap more when exchanged, over {len(moved[0].shifts)} subsets each of "
        f"{_listed(moved)} of {reference.total:,} pairs. The mean shift of the gap by other modes "
        f"changes the prediction by {effect:.2g}. The tolerance is {Z} standard errors and this "
        "effect times its relative size.",
        rivals=(
            Rival("the order is that of all pairs", 0.0),
            Rival("the two orders of a pair count as independent samples", share(2.0)),
            Rival("errors twice as large", share(0.25)),
        ),
        standard_error=seen.error,
    )


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
    means: Sequence[Mean], reference: Reference, moved: Sequence[Moved], times: int
) -> tuple[Mean, float, str]:
    """Return an exponent of the first block in effective pairs, its tolerance and details."""
    found = slope([each.m for each in moved], means)
    order = float(reference.next_order(moved[0].n)[0])
    span = float(np.log(moved[-1].m / moved[0].m))
    details = (
        f"A fit of logarithms over subsets of {_listed(moved)} of {reference.total:,} pairs, in "
        f"the number of effective pairs. The tolerance is {Z} standard errors and {times} times "
        f"the next order, {order:.2g}, over the logarithm of the range."
    )
    return found, Z * found.error + times * order / span, details


def _scaled(mean: Mean, factor: float) -> Mean:
    return Mean(mean.value * factor, mean.error * factor)


def _sample(reference: Reference, moved: Sequence[Moved], chosen: slice) -> str:
    blocks = reference.blocks[chosen]
    names = [f"{a + 1}" if b == a + 1 else f"{a + 1} to {b}" for a, b in blocks]
    what = f"mode{'s' * (blocks[-1][1] > 1)} {', '.join(names)}"
    counts = " or ".join(dict.fromkeys(str(len(each.shifts)) for each in moved))
    return f"{what} and {counts} subsets of {_listed(moved)} of {reference.total:,} pairs"


def _listed(moved: Sequence[Moved]) -> str:
    return ", ".join(f"{each.n:,}" for each in moved)
