"""The probes of a diagnosis against ideal classifiers and chance, with errors that hold."""

import numpy as np
import pytest
from scipy.stats import binom, norm

import jssl
from jssl.diagnosis.classifiers import logistic_accuracy, nearest_found, split, standardised
from jssl.diagnosis.probes import LINEAR, binomial_error
from jssl.diagnostics import knn_probe
from jssl.errors import InputError

RNG = np.random.default_rng(0)


def test_classes_in_a_row_are_found_as_by_the_ideal_classifier():
    """Five unit normals four apart: the outer two are right up to 2, the inner three within 2."""
    ideal = (2 * norm.cdf(2) + 3 * (2 * norm.cdf(2) - 1)) / 5
    labels, z = RNG.integers(0, 5, 4000), RNG.normal(size=(4000, 16))
    z[:, 0] += 4 * labels
    seen = jssl.diagnose(z, labels)
    metric = seen.metrics[LINEAR]
    assert metric.value == pytest.approx(ideal, abs=4 * metric.error)
    assert metric.error == pytest.approx(np.sqrt(ideal * (1 - ideal) / 2000), rel=0.2)
    assert "logistic regression" in seen.summary[-1]
    assert "LogisticRegression" in metric.source


def test_random_labels_of_stacked_views_are_at_chance():
    base, labels = RNG.normal(size=(300, 128)), RNG.integers(0, 10, 300)
    stacked = np.concatenate([base + 0.05 * RNG.normal(size=base.shape) for _ in range(8)])
    seen = jssl.diagnose(stacked, np.tile(labels, 8))
    chance = np.sum((np.bincount(labels) / 300) ** 2)
    for metric in (seen.metrics[LINEAR], seen.metrics["20-nearest-neighbour accuracy"]):
        assert abs(metric.value - chance) < 4 * metric.error
        # 150 samples are judged, not 1,200 rows
        assert metric.error == pytest.approx(np.sqrt(chance * (1 - chance) / 150), rel=0.3)
    assert "copies of a sample are on one side of the split" in seen.summary[-1]
    assert any("300 groups of up to 8 rows" in caveat for caveat in seen.caveats)


def test_the_error_of_five_judged_rows_that_are_all_right_is_about_a_fifth():
    labels = np.arange(10) % 2
    z = RNG.normal(size=(10, 2))
    z[:, 0] += 20 * labels
    metric = jssl.diagnose(z, labels, neighbours=1).metrics[LINEAR]
    assert metric.value == 1
    assert 0.1 < metric.error < 0.25


@pytest.mark.parametrize("count", [5, 20, 100])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_a_true_share_lies_within_two_errors_nine_times_in_ten(count, share):
    right = np.arange(count + 1)
    held = [abs(x / count - share) <= 2 * binomial_error(x / count, count) for x in right]
    assert np.sum(binom.pmf(right, count, share)[held]) > 0.9


def test_no_group_is_on_both_sides_and_each_side_has_rows():
    for groups in (RNG.integers(0, 30, 200), np.array([0, 0, 0, 1]), np.arange(4)):
        groups = np.unique(groups, return_inverse=True)[1]
        fit, judge = split(groups, np.random.default_rng(1))
        assert not set(groups[fit]) & set(groups[judge])
        assert sorted([*fit, *judge]) == list(range(len(groups)))
        assert min(len(fit), len(judge)) >= 1


def test_lost_columns_are_not_scaled_up():
    z = RNG.normal(size=(50, 3)) * [1000, 1, 1e-6] + 7
    assert standardised(z, 1e-6).std(0) == pytest.approx([1, 1, 1e-6], rel=0.3)
    assert np.abs(standardised(0 * z + 0.1, 1e-6)).max() < 1


def test_a_single_class_to_fit_on_is_predicted_for_all():
    z = RNG.normal(size=(6, 2))
    classes = np.array([0, 0, 0, 1, 0, 1])
    assert logistic_accuracy(z[:3], classes[:3], z[3:], classes[3:]) == (pytest.approx(1 / 3), True)


def test_unlabelled_rows_do_not_change_the_probes_and_are_counted():
    labels = RNG.integers(0, 3, 300)
    z = RNG.normal(size=(300, 4)) + 2 * labels[:, None]
    alone = jssl.diagnose(z, labels)
    more = jssl.diagnose(np.concatenate([z, 1 + z]), np.concatenate([labels, labels * 0 - 1]))
    for name in (LINEAR, "20-nearest-neighbour accuracy"):
        assert more.metrics[name].value == pytest.approx(alone.metrics[name].value, abs=0.1)
        assert more.metrics[name].rows == 300
    assert any("300 of 600 rows have no label (-1)" in caveat for caveat in more.caveats)


def test_probes_that_cannot_be_judged_are_left_out_with_the_reason():
    z = RNG.normal(size=(40, 3))
    for labels, says in (
        (np.arange(40), "no class has two samples"),
        (np.where(np.arange(40) < 3, np.arange(40) % 2, -1), "four labelled rows"),
    ):
        seen = jssl.diagnose(z, labels)
        assert LINEAR not in seen.metrics
        assert any(says in caveat for caveat in seen.caveats)
    lonely = jssl.diagnose(z, np.where(np.arange(40) < 3, np.arange(40), 3))
    assert any("3 classes have a single sample" in caveat for caveat in lonely.caveats)


def test_neighbours_vote_as_in_the_probe_of_jax():
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 3, 700)
    z = draws.normal(size=(700, 6)) + labels[:, None]
    for neighbours in (1, 5, 20, 900):
        found = nearest_found(z[:40], labels[:40], z[40:], labels[40:], neighbours)
        expected = knn_probe(
            z[:40], labels[:40], z[40:], labels[40:], neighbours=min(neighbours, 40)
        )
        assert found.mean() == pytest.approx(float(expected), abs=1e-12)


def test_rows_of_one_sample_are_on_one_side_of_the_split_where_samples_are_given():
    """Labels at random: tokens of a sample that was fitted would be recognised."""
    draws = np.random.default_rng(5)
    z = draws.normal(size=(150, 1, 16)) + 0.4 * draws.normal(size=(150, 10, 16))
    labels, samples = (np.repeat(x, 10) for x in (draws.integers(0, 4, 150), np.arange(150)))
    z = z.reshape(-1, 16)
    shuffled = draws.permutation(len(z))
    found = []
    for numbers in (None, samples[shuffled]):
        seen = jssl.diagnose(z[shuffled], labels[shuffled], samples=numbers)
        metric = seen.metrics["20-nearest-neighbour accuracy"]
        found.append(metric.value)
    assert found[0] > 0.5
    assert abs(found[1] - 0.25) < 3.9 * metric.error
    assert "all copies of a sample are on one side" in metric.range


@pytest.mark.parametrize("bad", [np.arange(9), np.zeros(10), np.zeros((10, 1), int), ["a"] * 10])
def test_numbers_of_samples_that_do_not_fit_are_one_line(bad):
    with pytest.raises(InputError, match="samples must be"):
        jssl.diagnose(np.eye(10), np.arange(10) % 2, samples=bad)


def test_given_samples_are_the_groups_and_none_are_guessed_from_the_order():
    """200 samples of 10 tokens: the error is that of 100 tested samples, not of 50 groups of 20."""
    rng = np.random.default_rng(0)
    samples = np.repeat(np.arange(200), 10)
    z = np.repeat(rng.normal(size=(200, 64)), 10, 0) + 1.5 * rng.normal(size=(2000, 64))
    labels = np.repeat(np.arange(200) % 4, 10)
    seen = jssl.diagnose(z, labels, samples=samples)
    (probe,) = (m for name, m in seen.metrics.items() if name.startswith("linear probe"))
    p = np.clip(probe.value, 0.01, 0.99)
    assert probe.error == pytest.approx((p * (1 - p) / 100) ** 0.5, rel=0.15)
    assert not any("They form" in line for line in seen.caveats)
