"""Does the verdict of `jssl.diagnose` name the state of encoders, and which metrics rank them?

    python -m benchmarks.collapse                 # about 45 minutes of processor time
    python -m benchmarks.collapse --keep FOLDER   # keeps the embeddings there, and reads them again
    python -m benchmarks.collapse --known         # trains only what results/collapse.json has not

Encoders are trained under 14 recipes (`benchmarks/encoders.py`), in several architectures
(`benchmarks/collapse_architectures.py`), and the embeddings of backbone and projector are judged.
The truth does not use any quantity of the verdict. Two witnesses have to agree:

    training   healthy losses and untrained encoders are not collapsed; a bottleneck, or a loss
               without its decorrelation term, is a dimensional collapse; invariance alone is a
               complete collapse. For backbones below such a loss the training claims nothing.
    probe      accuracy of 20 neighbours after Gaussian noise of a tenth of the variance, as a share
               r of what the same architecture reaches untrained (both above chance): collapsed
               where r < 0.8, completely where r < 0.25

Where r is within two standard errors of 0.8, the training decides. Where the two contradict
each other, or neither decides, the encoder is counted apart. The rule is calibrated on fifteen
architectures, and the confusion table is of six others (`HELD_OUT_BEFORE` has the earlier ones).
"""

import json
import math
import pathlib
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tyro
from sklearn.linear_model import LogisticRegression

from benchmarks.collapse_architectures import ARCHITECTURES, HELD_OUT_BEFORE
from benchmarks.collapse_forest import forest
from benchmarks.collapse_tables import write_tables
from benchmarks.encoder_data import Data, data_named
from benchmarks.encoders import RECIPES, TRAINED_ON, Architecture, Embeddings, train
from benchmarks.ranking import metrics_of
from jssl.diagnosis.classifiers import nearest_found, standardised
from jssl.diagnosis.judgement import judge
from jssl.diagnosis.spectra import spectrum_of
from jssl.formulas.verdict import CONSTANT, KINDS, Thresholds, Verdict, kind_of

RESULTS = pathlib.Path(__file__).parent / "results"

NOISE = 0.1
COLLAPSED, COMPLETELY, SURE = 0.8, 0.25, 2.0
QUANTITIES = (
    "effective_rank",
    "directions",
    "leading",
    "spread",
    "directional",
    "rank",
    "possible",
)
STATES = {"healthy": "none", "untrained": "none", "partial": "dimensional", "complete": "complete"}


class Witness(NamedTuple):
    """What training and probe say about an embedding.

    Attributes:
        truth: "none", "dimensional", "complete", or "" where they do not decide.
        claim: what the training says; "" for nothing.
        share: r, accuracy under noise as a share of that of the untrained encoder.
        error: its standard error.
    """

    truth: str
    claim: str
    share: float
    error: float


def main(keep: pathlib.Path | None = None, only: str | None = None, known: bool = False) -> None:
    """Run the study and write results/collapse.json and results/collapse.md.

    Args:
        keep: a folder for the embeddings and the rows of each architecture, which are read again.
        only: an architecture; its rows are kept, and no result is written. Several processes can so
            share the work.
        known: take the rows of the architectures that results/collapse.json has. Their verdicts
            are computed anew from their quantities.
    """
    rows: list[dict[str, Any]] = []
    earlier = json.loads((RESULTS / "collapse.json").read_text())["rows"] if known else []
    for half, architectures in ARCHITECTURES.items():
        for name in architectures if only is None else {only} & architectures.keys():
            found = [row for row in earlier if row["architecture"] == name]
            rows += [judged_again(row | {"half": half}) for row in found or _rows(half, name, keep)]
    if only is not None:
        return
    content = {
        "rows": rows,
        "calibrated": calibrate(rows),
        "used": used(Thresholds()),
        "held out before": [earlier._asdict() for earlier in HELD_OUT_BEFORE],
        "forest": forest(rows),
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(content, indent=None).replace("}, {", "},\n{")
    (RESULTS / "collapse.json").write_text(text + "\n", encoding="utf-8")
    write_tables(content, RESULTS / "collapse.md")


def used(thresholds: Thresholds) -> dict[str, Any]:
    """Return thresholds for JSON, in which an infinite one is None."""
    pairs = [(d, rank if math.isfinite(rank) else None) for d, rank in thresholds.dimensional]
    return thresholds._asdict() | {"dimensional": pairs}


def _rows(half: str, name: str, keep: pathlib.Path | None) -> list[dict[str, Any]]:
    file = None if keep is None else keep / f"{name}.json"
    if file is not None and file.exists():
        return list(json.loads(file.read_text(encoding="utf-8")))
    architecture, seeds = ARCHITECTURES[half][name]
    encoders = _encoders(name, architecture, seeds, keep)
    data = data_named(architecture.data)
    rows = study(encoders, {"half": half, "architecture": name}, data)
    if file is not None:
        file.write_text(json.dumps(rows), encoding="utf-8")
    print(f"{name}: {len(encoders)} encoders", flush=True)
    return rows


def judged_again(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the verdict of today's rule on its quantities."""
    seen = Verdict(None, **{key: row[key] for key in Verdict._fields if key != "kind"})
    return row | {"verdict": KINDS[int(kind_of(seen, Thresholds(), np))]}


def study(
    encoders: dict[tuple[str, int], Embeddings], named: dict[str, str], data: Data
) -> list[dict]:
    """Return a row for each embedding: truth, verdict, its quantities, accuracies and metrics."""
    labels, rows = data.labels, []
    for part in ("backbone", "projector"):
        untrained = [
            noisy(getattr(e, part), labels) for (n, _), e in encoders.items() if n == "untrained"
        ]
        for (recipe, seed), every in encoders.items():
            z = np.asarray(getattr(every, part), np.float64)
            seen = witness(recipe, part, noisy(z, labels), float(np.mean(untrained)), data)
            judged = judge(z, spectrum_of(z), np.arange(len(z)), Thresholds()).verdict
            rows.append(
                named
                | {"recipe": recipe, "seed": seed, "part": part}
                | seen._asdict()
                | {"verdict": KINDS[int(judged.kind)]}
                | {key: float(getattr(judged, key)) for key in QUANTITIES}
                | {"accuracy": probe(z, labels)}
                | metrics_of(z, getattr(every, f"{part}_views"))
            )
    return rows


def witness(recipe: str, part: str, accuracy: float, untrained: float, data: Data) -> Witness:
    """Return the truth on an embedding, from its training and from its accuracy under noise."""
    scale = untrained - data.chance
    share = (accuracy - data.chance) / scale
    tested = len(data.labels) - TRAINED_ON
    error = (
        math.sqrt(
            accuracy * (1 - accuracy) / tested + share**2 * untrained * (1 - untrained) / tested
        )
        / scale
    )
    state = RECIPES[recipe].state
    silent = part == "backbone" and state in ("partial", "complete") and not RECIPES[recipe].units
    claim = "" if silent else STATES[state]
    near = abs(share - COLLAPSED) < SURE * error
    found = "none" if share >= COLLAPSED else "dimensional" if share >= COMPLETELY else "complete"
    if not claim:
        return Witness("" if near else found, claim, share, error)
    agree = claim == found or (near and claim != "complete")
    return Witness(claim if agree else "", claim, share, error)


def noisy(z: np.ndarray, labels: np.ndarray) -> float:
    """Return the accuracy of 20 neighbours after noise of a tenth of the variance."""
    z = z - z.mean(0)
    size = math.sqrt(NOISE * np.square(z).sum(1).mean() / z.shape[1])
    z = z + size * np.random.default_rng(0).normal(size=z.shape)
    wide = np.concatenate([z, -np.square(z).sum(1, keepdims=True) / 2], 1)
    fit, test = slice(None, TRAINED_ON), slice(TRAINED_ON, None)
    # |a - b|^2 is smallest where a . b - |b|^2 / 2 is largest
    similar = np.concatenate([z[test], np.ones((len(z[test]), 1))], 1) @ wide[fit].T
    nearest = np.argpartition(-similar, 19, axis=1)[:, :20]
    votes = np.apply_along_axis(np.bincount, 1, labels[fit][nearest], minlength=labels.max() + 1)
    return float(np.mean(votes.argmax(1) == labels[test]))


def probe(z: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return accuracies without noise, on images that the encoder was not trained on."""
    fit, test = slice(None, TRAINED_ON), slice(TRAINED_ON, None)
    scaled = standardised(z, 1e-6)
    model = LogisticRegression(max_iter=200, tol=1e-3).fit(scaled[fit], labels[fit])
    nearest = nearest_found(z[fit], labels[fit], z[test], labels[test], 20)
    return {
        "linear": float(model.score(scaled[test], labels[test])),
        "nearest": float(nearest.mean()),
    }


def calibrate(rows: list[dict]) -> dict[str, Any]:
    """Return the thresholds that separate the truths of the first half, with their gaps."""
    known = [row for row in rows if row["half"] == "calibration" and row["truth"]]

    def values(truths: tuple[str, ...], of: Callable[[dict], float]) -> np.ndarray:
        found = np.array([of(row) for row in known if row["truth"] in truths])
        return found[np.isfinite(found)]

    healthy, partial, complete = ("none",), ("dimensional",), ("complete",)
    return {
        "low": _cut(values(partial, relative_rank), values(healthy, relative_rank)),
        "few": _cut(values(partial, directions), values(healthy, directions)),
        "constant": _cut(values(complete, directional), values(healthy + partial, directional)),
        "line": _cut(values(complete, beside), values(partial, beside)),
    }


def relative_rank(row: dict) -> float:
    """Return the effective rank in units of sqrt(possible)."""
    return float(row["effective_rank"] / math.sqrt(row["possible"]))


def directions(row: dict) -> float:
    """Return the effective directions; NaN for a constant, which has none."""
    return float(row["directions"] or math.nan)


def directional(row: dict) -> float:
    """Return one less the mean cosine."""
    return float(row["directional"])


def beside(row: dict) -> float:
    """Return the share of the variance beside the leading direction, for rows of one direction."""
    return 1 - row["leading"] if row["directional"] <= CONSTANT else math.nan


def _cut(below: np.ndarray, above: np.ndarray) -> dict[str, float]:
    """Return the cut with the fewest errors, in the middle (on a log scale) of its gap."""
    ends = np.sort(np.concatenate([below, above]))
    cuts = np.sqrt(ends[1:] * ends[:-1])
    wrong = np.array([(below > c).sum() + (above <= c).sum() for c in cuts])
    best = np.flatnonzero(wrong == wrong.min())
    widest = best[np.argmax(ends[1:][best] / ends[:-1][best])]
    return {
        "cut": float(cuts[widest]),
        "from": float(ends[widest]),
        "to": float(ends[widest + 1]),
        "wrong": int(wrong.min()),
        "of": len(ends),
    }


def _encoders(
    name: str, architecture: Architecture, seeds: list[int], keep: pathlib.Path | None
) -> dict[tuple[str, int], Embeddings]:
    file = None if keep is None else keep / f"{name}.pkl"
    if file is not None and file.exists():
        return pickle.loads(file.read_bytes())
    encoders = train(architecture, seeds)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(encoders))
    return encoders


if __name__ == "__main__":
    tyro.cli(main)
