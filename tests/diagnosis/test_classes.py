"""A collapsed class is found although the aggregate is healthy."""

import numpy as np
import pytest

import jssl
from jssl.diagnosis.classes import class_spectra, within_share

RNG = np.random.default_rng(0)
CLASSES = np.repeat(np.arange(5), 60)
Z = RNG.normal(size=(300, 16)) + 3 * RNG.normal(size=(5, 16))[CLASSES]
NAMES = ("a", "b", "c", "d", "e")


@pytest.mark.parametrize("dim", [16, 200])
def test_a_class_at_one_point_is_named_and_the_aggregate_is_not_collapsed(dim):
    centres = RNG.normal(size=(5, dim))
    z = RNG.normal(size=(300, dim)) + centres[CLASSES]
    z[CLASSES == 3] = centres[3] + 1e-3 * RNG.normal(size=(60, dim))
    seen = jssl.diagnose(z, np.array(NAMES)[CLASSES])
    assert int(seen.verdict.kind) == 0
    assert [each.collapse for each in seen.classes] == ["none"] * 3 + ["one point", "none"]
    assert any("1 of 5 classes has collapsed to one point" in each for each in seen.summary)
    assert any(": d (" in each for each in seen.summary)


def test_a_class_on_a_line_is_named():
    z = Z.copy()
    z[CLASSES == 1] = RNG.normal(size=(60, 1)) * np.ones(16) + 0.01 * Z[CLASSES == 1]
    found = class_spectra(z, CLASSES, NAMES)
    assert found[1].collapse == "few directions"
    assert found[1].leading > 0.95
    assert [each.collapse for each in found].count("none") == 4


def test_healthy_classes_and_classes_of_few_rows_are_not_called_collapsed():
    assert {each.collapse for each in class_spectra(Z, CLASSES, NAMES)} == {"none"}
    few = class_spectra(Z[::20], CLASSES[::20], NAMES)
    assert {each.collapse for each in few} == {"unknown"}
    tight = 0.01 * Z + 10 * np.eye(16)[CLASSES]  # neural collapse: every class alike
    assert {each.collapse for each in class_spectra(tight, CLASSES, NAMES)} == {"none"}


def test_spectra_of_classes_are_those_of_their_covariances():
    for each, number in zip(class_spectra(Z, CLASSES, NAMES), range(5), strict=True):
        values = np.linalg.eigvalsh(np.cov(Z[number == CLASSES].T, bias=True))
        assert each.variance == pytest.approx(values.sum())
        assert each.leading == pytest.approx(values.max() / values.sum())


def test_the_share_within_classes_and_the_share_between_add_to_one():
    means = np.stack([Z[c == CLASSES].mean(0) for c in range(5)])[CLASSES]
    between = np.square(means - Z.mean(0)).sum() / np.square(Z - Z.mean(0)).sum()
    assert within_share(Z, CLASSES) == pytest.approx(1 - between)
    assert jssl.diagnose(Z, CLASSES).metrics["within-class share"].value == pytest.approx(
        1 - between
    )
