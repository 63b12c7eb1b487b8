"""Figures name claims that exist, so that the report shows them together."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from jssl.papers.deep import staircases
from jssl.papers.learnability import figures
from jssl.theory.learnability import SupervisedMinima

REPORT = Path(__file__).parents[2] / "docs" / "reports" / "quick.json"
CLAIMS = {claim["name"] for claim in json.loads(REPORT.read_text(encoding="utf-8"))["claims"]}


def test_the_figures_of_learning_curves_rows_and_projections_name_claims_once():
    runs = np.random.default_rng(0).normal(size=(3, 4, 5, 2, 10))  # kinds, seeds, points, m, d
    best = SupervisedMinima(*np.ones((5, 1, 2, 2)))
    shown = figures.comparison(np.arange(5), *runs, best)
    named = [name for figure in shown for name in figure.claims]
    assert len(shown) == 3
    assert all(figure.claims for figure in shown)
    assert len(set(named)) == len(named)
    assert set(named) <= CLAIMS


def test_the_figures_of_deep_networks_name_claims():
    values = np.random.default_rng(0).uniform(size=(3, 2, 6, 5))  # losses, starts, points, channels
    runs = SimpleNamespace(step=np.arange(6), eigenvalues=values[..., :3], hidden=[values])
    for draw in (staircases._embedding_figure, staircases._hidden_figure):
        figure = draw("a ResNet with group norm", "resnet-group-norm", runs)
        assert figure.claims
        assert set(figure.claims) <= CLAIMS
