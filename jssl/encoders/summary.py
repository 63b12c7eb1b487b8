"""The summary of a comparison of encoders and its caveats, as sentences."""

import numpy as np

from jssl.encoders.values import Values

SURE = 0.95
"""Probability from which an encoder is said to be first."""


def summary_of(seen: Values) -> tuple[str, ...]:
    """Return the results as sentences, the ranking first."""
    lines = [_first(seen)]
    for name, diagnosis in seen.diagnoses.items():
        rank = diagnosis.metrics["effective rank"].value
        dim = seen.settings["dimensions"][name]
        lines.append(f"{name}: effective rank {rank:.4g} of {dim:,}. {diagnosis.summary[0]}")
    for (a, b), cka in seen.cka.items():
        lines.append(_pair(seen, a, b, f"{cka.value:z.3f} ± {cka.error:.2g}"))
    probes = {
        name: metric
        for name, diagnosis in seen.diagnoses.items()
        for metric in diagnosis.metrics.values()
        if metric.name.startswith("linear probe")
    }
    if probes:
        each = ", ".join(f"{name} {m.value:.3f} ± {m.error:.2g}" for name, m in probes.items())
        lines.append(f"Accuracy of a linear probe on held-out labelled rows: {each}.")
    return tuple(lines)


def _first(seen: Values) -> str:
    ranking, best = seen.ranking, int(np.argmax(seen.ranking.values))
    values = ", ".join(
        f"{name} {value:.4g} ± {error:.2g}"
        for name, value, error in zip(seen.names, ranking.values, ranking.errors, strict=True)
    )
    sure = float(ranking.first[best])
    shown = "more than 99.9 %" if sure > 0.999 else f"{100 * sure:.3g} %"
    how = (
        f"ranks {seen.best} first in {shown} of draws of the rows"
        if sure >= SURE
        else f"does not decide: {seen.best} is first in {shown} of draws of the rows"
    )
    return f"Without labels, {_named(seen.criterion)} {how} ({values})."


def _pair(seen: Values, a: str, b: str, cka: str) -> str:
    shared = seen.overlaps[a, b]
    if not shared.leading:
        return f"{a} and {b}: nothing to compare, because at least one of them is constant."
    near, one = int((shared.angles < 45).sum()), shared.leading == 1
    leading = (
        "leading directions, one of each," if one else f"{shared.leading:,} leading directions"
    )
    count = f"{near:,} of them {'is' if near == 1 else 'are'} shared"
    if one:
        count = "they are shared" if near else "they are not shared"
    return (
        f"{a} and {b}: debiased CKA {cka}. Their {leading} overlap by "
        f"{shared.value:.3f} ({shared.chance:.2g} ± {shared.chance_error:.1g} for unrelated "
        f"encoders); {count} (principal angle below 45 degrees)."
    )


def caveats_of(seen: Values) -> tuple[str, ...]:
    """Return what limits the results."""
    caveats = []
    n, dims = seen.settings["rows compared"], seen.settings["dimensions"]
    unrelated = [
        f"{a} and {b}" for (a, b), cka in seen.cka.items() if cka.value < 4 * np.sqrt(2) / n
    ]
    if unrelated:
        caveats.append(
            f"{', '.join(unrelated)} are not more similar than unrelated embeddings. Check that "
            "their rows belong to the same samples in the same order."
        )
    if len(set(dims.values())) > 1:
        caveats.append(
            f"The dimensions differ, and {_named(seen.criterion)} is at most the dimension: its "
            "order between these encoders need not be that of their quality."
        )
    if n < 10 * max(dims.values()):
        caveats.append(
            f"With {n:,} rows in up to {max(dims.values()):,} dimensions, all ranks are lower than "
            "with many rows. The errors do not include this bias, which is similar for similar "
            "spectra."
        )
    caveats.append(
        f"{_capital(_named(seen.criterion))} compares encoders of one method and architecture. "
        "It does not know the task: noise in all dimensions has the highest value."
    )
    for name, diagnosis in seen.diagnoses.items():
        caveats += [f"{name}: {caveat}" for caveat in diagnosis.caveats]
    return tuple(dict.fromkeys(caveats))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _named(criterion: str) -> str:
    return "RankMe" if criterion == "rankme" else f"the {criterion}"
