"""How well can any rule on label-free quantities name the state of encoders of the study?

A random forest on the quantities of the verdict and two more metrics is fitted on all architectures
but a few, and names the encoders of those. It may use any threshold on any quantity and has seen no
encoder of the architectures it is tested on, so that it shows how much the quantities tell.
"""

from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GroupKFold, cross_val_predict

POSITIVE = ("directions", "effective_rank", "spread", "directional", "possible", "rank", "RankMe")
LINEAR = ("leading", "uniformity")
LEAST = 1e-12  # of a positive quantity, whose logarithm is taken
FOLDS = 7


def forest(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how many states a forest names rightly in architectures that it was not fitted on.

    Args:
        rows: of the study; those without a known truth are left out.
    """
    known = [row for row in rows if row["truth"]]
    logs = [[np.log(max(row[key], LEAST)) for key in POSITIVE] for row in known]
    x = np.concatenate([logs, [[row[key] for key in LINEAR] for row in known]], 1)
    x = np.nan_to_num(x, nan=0.0, posinf=50.0, neginf=-50.0)
    truth = np.array([row["truth"] for row in known])
    groups = [row["architecture"] for row in known]
    model = RandomForestClassifier(500, min_samples_leaf=2, random_state=0)
    found = cross_val_predict(model, x, truth, groups=groups, cv=GroupKFold(FOLDS))
    return {
        "right": int(np.sum(found == truth)),
        "of": len(known),
        "quantities": [*POSITIVE, *LINEAR],
        "folds": FOLDS,
    }
