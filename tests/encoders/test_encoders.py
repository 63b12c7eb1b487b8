"""Encoders on the same rows: each number against brute force, another library, or simulation."""

import json

import numpy as np
import pytest
from scipy.linalg import subspace_angles

import jssl
from jssl.encoders.components import components, overlap
from jssl.encoders.ranking import CRITERIA, influence, rank_encoders

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5)) * np.array([3, 2, 1, 1, 0.5])
Y = np.tanh(X @ RNG.normal(size=(5, 4))) + 7


@pytest.mark.parametrize("columns", [5, 90])
def test_the_principal_angles_are_those_of_scipy(columns):
    a = X @ RNG.normal(size=(5, columns)) + 0.1 * RNG.normal(size=(60, columns))
    found = overlap(components(a), components(Y), 3, 4)
    bases = [np.linalg.svd(z - z.mean(0), full_matrices=False)[0] for z in (a, Y)]
    angles = np.sort(subspace_angles(*(basis[:, :3] for basis in bases)))
    np.testing.assert_allclose(np.radians(found.angles), angles, atol=1e-7)
    assert found.value == pytest.approx(np.mean(np.cos(angles) ** 2))
    for k in range(1, 5):
        squares = np.square(bases[0][:, :k].T @ bases[1][:, :k]).sum()
        assert found.curve[k - 1] == pytest.approx(squares / k)


def test_unrelated_subspaces_overlap_by_the_chance_level():
    found = [
        overlap(*(components(RNG.normal(size=(60, 8))) for _ in range(2)), 3, 6) for _ in range(400)
    ]
    values = np.array([each.value for each in found])
    assert values.mean() == pytest.approx(found[0].chance, abs=4 * values.std() / 20)
    assert values.std() == pytest.approx(found[0].chance_error, rel=4 / np.sqrt(2 * 400))
    assert all(each.angles.min() > 45 for each in found)  # of a twentieth of the rows


def test_eigenvalues_are_the_same_from_either_side():
    few = RNG.normal(size=(20, 50))
    expected = np.linalg.svd(few - few.mean(0), compute_uv=False)[:19] ** 2 / 20
    found = components(few)
    np.testing.assert_allclose(found.values, expected)
    np.testing.assert_allclose(found.scores.T @ found.scores, np.eye(19), atol=1e-9)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_influence_of_a_row_is_the_derivative_by_its_weight(criterion):
    centre = criterion != "rankme"
    found = influence(components(X, centre), criterion)
    mean = X.mean(0) if centre else 0
    step = 1e-6

    def value(weights):
        scatter = (X - mean).T @ (weights[:, None] * (X - mean))
        eigenvalues = np.linalg.eigvalsh(scatter)
        if criterion == "participation ratio":
            return eigenvalues.sum() ** 2 / np.square(eigenvalues).sum()
        p = np.sqrt(eigenvalues) / np.sqrt(eigenvalues).sum()
        return np.exp(-np.sum(p * np.log(p)))

    for i in (0, 30):
        weights = np.full(60, (1 - step) / 60) + step * (np.arange(60) == i)
        assert (value(weights) - value(np.full(60, 1 / 60))) / step == pytest.approx(
            found[i], rel=1e-3, abs=1e-4
        )


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_error_of_a_criterion_is_its_spread_over_draws_of_the_rows(criterion):
    scale = np.arange(1, 21) ** -0.5

    def draw():
        both = [RNG.normal(size=(400, 20)) * scale + 0.2, RNG.normal(size=(400, 20)) * scale**2]
        parts = [components(z, criterion != "rankme") for z in both]
        return rank_encoders(parts, criterion, RNG)

    found = [draw() for _ in range(200)]
    for i in range(2):
        spread = np.std([each.values[i] for each in found])
        assert np.mean([each.errors[i] for each in found]) == pytest.approx(spread, rel=0.25)
        assert np.mean([each.first[i] for each in found]) == pytest.approx(1 - i, abs=1e-6)


def test_rows_that_both_encoders_see_make_a_small_difference_sure():
    x = RNG.normal(size=(500, 10)) * np.arange(1, 11) ** -0.5
    slightly = x * np.where(np.arange(10) < 8, 1.0, 0.97)
    ranking = rank_encoders([components(x), components(slightly)], "effective rank", RNG)
    alone = np.hypot(*ranking.errors)
    assert ranking.values[0] - ranking.values[1] < 2 * alone
    assert ranking.first[0] > 0.999


def test_equal_encoders_share_the_first_place():
    seen = jssl.compare_encoders([X, X[:, ::-1] * 3 + 1], criterion="effective rank")
    np.testing.assert_allclose(seen.ranking.first, 0.5, atol=0.02)
    assert "does not decide" in seen.summary[0]
    assert seen.cka["encoder 1", "encoder 2"].value == pytest.approx(1)
    assert seen.overlaps["encoder 1", "encoder 2"].value == pytest.approx(1)
    assert not any("same order" in caveat for caveat in seen.caveats)


def test_rows_in_another_order_are_noticed():
    order = RNG.permutation(60)
    seen = jssl.compare_encoders({"a": X, "b": X[order]})
    assert any("a and b are not more similar than unrelated" in caveat for caveat in seen.caveats)


def test_a_result_prints_draws_writes_and_logs_itself(tmp_path):
    labels = (X[:, 0] > 0).astype(int)
    seen = jssl.compare_encoders({"base": X, "tanh": Y}, labels)
    assert str(seen).splitlines()[0].startswith("Without labels, RankMe ")
    assert "linear probe" in str(seen)
    assert len(seen.plot().axes) == 4
    html = seen._repr_html_()
    assert "data:image/png" in html
    assert "tanh" in html
    metrics = seen.metrics()
    assert metrics["base|tanh/cka"] == seen.cka["base", "tanh"].value
    assert metrics["base/probability_first"] + metrics["tanh/probability_first"] == pytest.approx(1)
    assert all(type(value) is float for value in metrics.values())
    page = seen.write(tmp_path / "out")
    data = json.loads((tmp_path / "out" / "report.json").read_text())
    assert page.name == "report.html"
    assert data["pairs"][0]["encoders"] == ["base", "tanh"]
    assert data["best"] == seen.best
    with pytest.raises(jssl.InputError, match="already contains a report"):
        seen.write(tmp_path / "out")


def test_a_constant_encoder_is_compared_with_a_sentence():
    seen = jssl.compare_encoders({"healthy": X, "constant": np.ones((60, 3))})
    assert seen.best == "healthy"
    assert any("one of them is constant" in line for line in seen.summary)
    assert len(seen.plot().axes) == 4


@pytest.mark.parametrize(
    ("encoders", "options", "said"),
    [
        ({"a": X}, {}, "two or more encoders or layers; got one, 'a'"),
        ([], {}, "two or more encoders or layers; got none"),
        ({"a": X, "b": Y[:50]}, {}, "their numbers differ: a 60, b 50; embed the same samples"),
        ({"a": X[:7], "b": Y[:7]}, {}, "needs 8 rows or more; got 7"),
        ({"a": X, "b": X[:, 0]}, {}, "b must be .n, dim."),
        ({"a": X, "b": np.where(X > 2, np.nan, X)}, {}, "not finite"),
        (X, {}, "a dictionary of name -> embeddings, or a list of them; got a ndarray"),
        ([X, Y], {"criterion": "rank_me"}, "did you mean 'rankme'"),
        ([X, Y], {"labels": [0, 1]}, "one entry for each of the 60 rows"),
    ],
)
def test_input_that_cannot_be_compared_is_one_line(encoders, options, said):
    with pytest.raises(jssl.InputError, match=said) as caught:
        jssl.compare_encoders(encoders, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_criterion_may_be_written_with_hyphens_or_underscores(criterion):
    for mark in "-_":
        seen = jssl.compare_encoders([X, Y], criterion=criterion.replace(" ", mark))
        assert seen.criterion == criterion
    assert seen.summary == jssl.compare_encoders([X, Y], criterion=criterion).summary


@pytest.mark.parametrize(
    ("second", "said"), [(X * 2, "they are shared"), (RNG.normal(size=(60, 5)), "they are not")]
)
def test_one_leading_direction_is_not_written_in_the_plural(second, said):
    narrow = np.array([1, 1e-3, 1e-3, 1e-3, 1e-3])
    seen = jssl.compare_encoders({"a": X * narrow, "b": second * narrow})
    assert seen.overlaps["a", "b"].leading == 1
    line = next(line for line in seen.summary if line.startswith("a and b: "))
    assert "Their leading directions, one of each, overlap by" in line
    assert said in line
