"""Parts of the experiment without a full run; `jssl reproduce grassmann` tests the rest."""

import numpy as np
import pytest

from jssl.papers import Settings
from jssl.papers.grassmann import deep, literal, naive
from jssl.theory import grassmann


def verdicts(part):
    return {claim.name.split("/")[1]: claim.passed for claim in part.claims}


@pytest.mark.slow
def test_order_of_links_and_literal_forms_are_as_claimed():
    assert all(verdicts(deep.order_of_links(Settings())).values())
    assert all(verdicts(literal.literal_forms(Settings())).values())


@pytest.mark.slow
def test_collapse_claims_fail_for_half_the_rate(monkeypatch):
    """The paper writes the flow for half the gradient: taken literally, the claim fails."""
    true = grassmann.objective_matrix
    monkeypatch.setattr(naive.grassmann, "objective_matrix", lambda data: true(data) / 2)
    found = verdicts(naive.linear_collapse(Settings()))
    assert found["naive-effective-rank"]
    assert not found["naive-collapse"]
    assert not found["fixed-norm-collapses"]


@pytest.mark.slow
def test_depth_claims_fail_for_swapped_metrics(monkeypatch):
    true = grassmann.depth_multiplier
    swapped = {"euclidean": "canonical", "canonical": "euclidean"}
    monkeypatch.setattr(deep.grassmann, "depth_multiplier", lambda d, m: true(d, swapped[m]))
    found = verdicts(deep.depths(Settings()))
    assert found["depth-1-euclidean"]
    assert not any(found[f"depth-{d}-{m}"] for d in (2, 3) for m in swapped)


def test_exponent_and_its_error_are_those_of_paired_seeds():
    widths = np.array([10.0, 100.0, 1000.0])
    logs = -0.5 * np.log(widths)[:, None] + np.array([0.0, 1.0, -2.0])
    exponent, error = naive.fit_exponent(widths, logs)
    assert exponent == pytest.approx(-0.5)
    assert error < 1e-12
