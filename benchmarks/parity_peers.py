"""What other packages compute under the names of metrics; `benchmarks/parity.py` runs it.

Reads clouds (samples, views, dim) and labels from an .npz file, and writes JSON, name -> value.
This file is run with another interpreter, in an environment that has the peers and not jssl.
"""

import json
import pathlib
import sys
from typing import Any

import numpy as np
import reptrix.alpha
import reptrix.lidar
import reptrix.rankme
import torch
from embedding_quality.evaluation import UnsupervisedEmbeddingQualityEvaluation
from lightly.loss.hypersphere_loss import HypersphereLoss
from lightly.utils.benchmarking import knn_predict
from lightly.utils.debug import std_of_l2_normalized
from stable_pretraining.callbacks.lidar import LiDAR
from stable_pretraining.callbacks.rankme import RankMe


class Kept:
    """A trainer, a module and a queue, as far as a callback of stable-pretraining uses them."""

    global_rank = 0

    def __init__(self, data: torch.Tensor):
        self.data = data
        self.found: dict[str, float] = {}

    def log(self, name: str, value: float, **_: object) -> None:
        """Keep what a callback logs."""
        self.found[name] = float(value)


def logged(callback: Any, data: torch.Tensor) -> float:
    """Return what a callback logs on a validation batch whose queue holds data."""
    kept = Kept(data)
    callback._target_queue = kept
    callback.on_validation_batch_end(kept, kept, {}, {}, 0)
    return kept.found["metric"]


def main(data: str, out: str) -> None:
    """Write the metrics of the peers."""
    given = np.load(data)
    clouds, labels = torch.tensor(given["clouds"]), torch.tensor(given["labels"])
    samples, views, dim = clouds.shape
    flat, first, second = clouds.reshape(-1, dim), clouds[:, 0], clouds[:, 1]
    half = samples // 2
    unit = torch.nn.functional.normalize(first, dim=1)
    voted = knn_predict(unit[half:], unit[:half].T.contiguous(), labels[:half], 10)[:, 0]
    simple = UnsupervisedEmbeddingQualityEvaluation
    queue = {"target": "z", "queue_length": len(flat), "target_shape": dim}
    found = {
        "stable-pretraining RankMe": logged(RankMe("metric", verbose=False, **queue), first),
        "stable-pretraining LiDAR": logged(
            LiDAR("metric", n_classes=samples, samples_per_class=views, verbose=False, **queue),
            flat,
        ),
        "embedding-quality RankMe": float(simple.RankMe(first.numpy())),
        "embedding-quality NESum": float(np.real(simple.NESum(first.numpy()))),
        "embedding-quality Stable_rank": float(simple.Stable_rank(first.numpy())),
        "reptrix get_rankme": float(reptrix.rankme.get_rankme(first)),
        "reptrix get_alpha": float(reptrix.alpha.get_alpha(first)[0]),
        "reptrix get_lidar": float(reptrix.lidar.get_lidar(clouds, samples, views)),
        "lightly HypersphereLoss, alignment": float(HypersphereLoss(lam=0.0)(first, second)),
        "lightly HypersphereLoss, uniformity": float(HypersphereLoss()(first, first)),
        "lightly std_of_l2_normalized": float(std_of_l2_normalized(first)),
        "lightly knn_predict": float((voted == labels[half:]).double().mean()),
    }
    pathlib.Path(out).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
