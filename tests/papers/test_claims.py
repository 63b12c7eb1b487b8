"""A claim holds only if the measurement agrees with the prediction and excludes every rival."""

import json
import math

import numpy as np
import pytest

from jssl.papers.claims import at_least, at_most, close, count, nearest_rival, power
from jssl.papers.outcome import Outcome, Part
from jssl.papers.report import write_report
from jssl.types import Rival

TEXTS = "demo/a", "The value is one.", "arithmetic"


def verdict(function, value, measured=1.0, **options):
    rivals = (Rival("another", value),)
    return function(*TEXTS, 1.0, measured, 0.1, rivals=rivals, **options).verdict


@pytest.mark.parametrize("value", [1.0, 1.05, 0.95, 1.19, float("nan")])
def test_a_rival_within_two_tolerances_of_the_prediction_leaves_a_claim_undecided(value):
    assert verdict(close, value) == "undecided"


def test_a_rival_outside_two_tolerances_is_excluded():
    assert verdict(close, 1.21) == verdict(close, 0.79) == verdict(close, math.inf) == "holds"


def test_a_rival_is_compared_with_the_measurement_too():
    claim = close(*TEXTS, 1.0, 1.0, 0.0, rivals=(Rival("another", 1.0),))
    assert claim.verdict == "undecided"
    assert verdict(close, 1.21, measured=1.09) == "holds"


def test_rivals_beyond_a_bound_are_excluded():
    for value in (0.5, 1.1, 2.1, float("nan")):  # an upper bound is the tolerance of an error
        assert verdict(at_most, value) == "undecided"
    assert verdict(at_most, 2.3) == "holds"
    for value in (2.0, 0.9, float("nan")):
        assert verdict(at_least, value) == "undecided"
    assert verdict(at_least, 0.8) == "holds"


def test_an_upper_bound_of_zero_excludes_what_is_above_it():
    rivals = (Rival("the opposite sign", 0.3),)
    assert at_most(*TEXTS, 0.0, -0.5, rivals=rivals).passed
    assert not at_most(*TEXTS, 0.0, -0.5, rivals=(Rival("none", 0.0),)).passed


def test_excluded_rivals_do_not_rescue_a_wrong_prediction():
    assert verdict(close, math.inf, measured=2.0) == "fails"
    assert verdict(at_most, math.inf, measured=2.0) == "fails"
    assert verdict(at_least, 0.0, measured=0.5) == "fails"
    assert verdict(close, math.inf, measured=float("nan")) == "fails"


def test_every_rival_counts_and_none_is_too_few():
    rivals = (Rival("far", 9.0), Rival("near", 1.05))
    claim = close(*TEXTS, 1.0, 1.0, 0.1, rivals=rivals)
    assert claim.verdict == "undecided"
    assert nearest_rival(claim) == rivals[1]
    assert close(*TEXTS, 1.0, 1.0, 0.1).verdict == "undecided"
    assert at_most(*TEXTS, 1.0, 1.0).verdict == "undecided"


def test_the_power_is_the_share_of_repetitions_that_reject_the_rival():
    rivals = (Rival("nothing", 0.0),)
    claim = close(*TEXTS, 1.0, 1.0, 0.5, rivals=rivals, standard_error=0.4)
    draws = np.random.default_rng(0).normal(1.0, 0.4, 200_000)
    assert abs(power(claim) - (np.abs(draws) > 0.5).mean()) < 0.005
    assert claim.verdict == "undecided"
    assert close(*TEXTS, 1.0, 1.0, 0.5, rivals=rivals, standard_error=0.1).verdict == "holds"


def test_the_power_of_a_bound_is_that_of_both_sides():
    rivals = (Rival("nothing", 0.0),)
    weak = at_least(*TEXTS, 0.39, 0.45, rivals=rivals, standard_error=0.1)
    draws = np.random.default_rng(0).normal(0.45, 0.1, 200_000)
    assert abs(power(weak) - (draws > 0.39).mean()) < 0.005
    assert weak.verdict == "undecided"
    assert at_least(*TEXTS, 0.39, 0.6, rivals=rivals, standard_error=0.1).verdict == "holds"
    loose = at_most(*TEXTS, 1.0, 0.1, rivals=(Rival("far", 2.0),), standard_error=1.5)
    draws = np.random.default_rng(1).normal(2.0, 1.5, 200_000)
    assert power(loose) < 0.9
    assert abs(power(loose) - min((draws > 1.0).mean(), (draws - 1.9 < 1.0).mean())) < 0.01


def test_a_claim_that_is_not_random_has_no_power():
    assert power(close(*TEXTS, 1.0, 1.0, 0.1, rivals=(Rival("far", 9.0),))) is None


def _report(tmp_path, *claims):
    page, data = write_report(
        tmp_path, {"demo": Outcome({"a study": Part(claims, [])})}, {"scale": "quick"}
    )
    return page.read_text(), json.loads(data.read_text())


def test_rivals_are_in_the_page_and_in_the_json(tmp_path):
    rivals = (Rival("a < b", 9.0), Rival("never learned", float("inf")))
    claim = close(*TEXTS, 1.0, 1.0, 0.1, rivals=rivals, standard_error=0.02)
    text, report = _report(tmp_path, claim)
    (record,) = report["claims"]
    assert record["rivals"] == [
        {"name": "a < b", "value": 9.0},
        {"name": "never learned", "value": None},
    ]
    assert (record["nearest_rival"], record["power"], record["verdict"]) == ("a < b", 1.0, "holds")
    assert "excluded: a &lt; b, 9; never learned, not finite." in text
    assert "power against the nearest rival 1" in text


def test_the_three_verdicts_are_in_the_page_and_in_the_json(tmp_path):
    far, near = (Rival("far", 9.0),), (Rival("near", 1.05),)
    claims = [
        close("demo/good", "It agrees.", "s", 1.0, 1.0, 0.1, rivals=far),
        close("demo/open", "It may be.", "s", 1.0, 1.0, 0.1, rivals=near),
        close("demo/bad", "It is wrong.", "s", 1.0, 3.0, 0.1, rivals=far),
    ]
    assert count(claims) == {"holds": 1, "undecided": 1, "fails": 1}
    text, report = _report(tmp_path, *claims)
    assert report["verdicts"] == {"holds": 1, "undecided": 1, "fails": 1}
    assert report["passed"] is False
    assert "1 of 3 claims hold, 1 undecided, 1 fails." in text
    assert "<strong>Undecided:</strong></p>\n<ul><li>It may be." in text
    assert "nearest rival “near” 1.05" in text
    assert [record["passed"] for record in report["claims"]] == [True, False, False]
