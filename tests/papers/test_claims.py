"""A claim holds only if the measurement agrees with the prediction and rejects every rival."""

import json

import pytest

from jssl.papers.claims import at_least, at_most, close
from jssl.papers.outcome import Outcome
from jssl.papers.report import write_report
from jssl.types import Rival

TEXTS = "demo/a", "The value is one.", "arithmetic"


def passes(function, value, measured=1.0):
    return function(*TEXTS, 1.0, measured, 0.1, rivals=(Rival("another", value),)).passed


@pytest.mark.parametrize("value", [1.0, 1.05, 0.95, float("nan")])
def test_a_rival_that_agrees_with_the_measurement_fails_a_claim_of_equality(value):
    assert not passes(close, value)


def test_a_rival_is_compared_with_the_measurement_and_not_with_the_prediction():
    assert not passes(close, 1.15, measured=1.08)  # 0.15 from the prediction, 0.07 from the value
    assert passes(close, 1.15, measured=1.0)


def test_rivals_on_the_other_side_of_a_bound_are_rejected():
    for value in (0.5, 1.1, float("nan")):
        assert not passes(at_most, value)
    assert passes(at_most, 1.2)
    for value in (2.0, 0.9, float("nan")):
        assert not passes(at_least, value)
    assert passes(at_least, 0.8)


def test_rejected_rivals_do_not_rescue_a_wrong_prediction():
    assert passes(close, float("inf"))
    assert not passes(close, float("inf"), measured=2.0)
    assert not passes(at_most, float("inf"), measured=2.0)
    assert not passes(at_least, 0.0, measured=0.5)


def test_every_rival_counts():
    rivals = (Rival("far", 9.0), Rival("near", 1.05))
    assert not close(*TEXTS, 1.0, 1.0, 0.1, rivals=rivals).passed


def test_rivals_are_in_the_page_and_in_the_json(tmp_path):
    rivals = (Rival("a < b", 9.0), Rival("never learned", float("inf")))
    claim = close(*TEXTS, 1.0, 1.0, 0.1, rivals=rivals)
    page, data = write_report(tmp_path, {"demo": Outcome((claim,))}, {"scale": "quick"})
    (record,) = json.loads(data.read_text())["claims"]
    assert record["rivals"] == [
        {"name": "a < b", "value": 9.0},
        {"name": "never learned", "value": None},
    ]
    text = page.read_text()
    assert "rejected: a &lt; b, 9; never learned, not finite." in text
