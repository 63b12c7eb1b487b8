"""The verdict on embeddings whose state is known: what is healthy, and what is named."""

import numpy as np
import pytest

import jssl
from jssl.diagnosis.judgement import directional_spread, judge, judge_moments
from jssl.diagnosis.outliers import FAR, distances_from, far_rows, few_far, moments_without
from jssl.diagnosis.spectra import spectrum_of
from jssl.formulas.moments import moments, scan
from jssl.formulas.verdict import KINDS, Thresholds

RNG = np.random.default_rng(0)
HEALTHY = RNG.normal(size=(900, 96))


def kind(z):
    return KINDS[int(jssl.diagnose(z).verdict.kind)]


def said(z, what):
    return any(what in line for line in jssl.diagnose(z).summary)


def changed(change):
    z = HEALTHY.copy()
    change(z)
    return z


def offset(z):
    z[:, 7] += 2000


def large(z):
    z[:, 7] *= 2000


def bad_row(z):
    z[5] *= 1e4


def dead(z):
    z[:, 0] = 0


@pytest.mark.parametrize("rows", [900, 60])
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (offset, "Coordinate 7 has a large constant offset"),
        (large, "Coordinate 7 has a much larger variance"),
        (bad_row, "Row 5 of"),
        (dead, "1 unit is dead (the same value in every row): 0."),
    ],
)
def test_a_healthy_embedding_with_an_outlier_is_healthy_and_the_outlier_is_named(
    change, named, rows
):
    z = changed(change)[:rows]
    assert kind(z) == "none"
    assert said(z, named)
    assert not said(HEALTHY[:rows], named)
    directions = jssl.diagnose(z).metrics["effective directions"].value
    assert directions > 0.8 * min(rows - 1, 96)


def test_a_layer_normalised_embedding_is_healthy():
    """One direction is lost by construction."""
    hidden = HEALTHY * np.arange(1, 97) ** -0.5 @ np.linalg.qr(RNG.normal(size=(96, 96)))[0]
    z = hidden - hidden.mean(1, keepdims=True)
    assert kind(z / z.std(1, keepdims=True)) == "none"


def test_isotropic_rows_are_healthy_however_few_they_are():
    for rows in (97, 40, 12):
        seen = jssl.diagnose(HEALTHY[:rows])
        assert KINDS[int(seen.verdict.kind)] == "none"
        assert seen.verdict.directions > 0.7 * min(rows - 1, 96)


def test_points_near_one_point_are_a_complete_collapse():
    z = 1 + 8e-4 * HEALTHY
    assert kind(z) == "complete"
    assert said(z, "all rows are nearly one point. Their variance is")


@pytest.mark.parametrize("dim", [2, 8, 96])
@pytest.mark.parametrize("rows", [12, 900])
def test_rows_near_one_point_are_judged_around_it_and_named(dim, rows):
    """An offset translates whitened embeddings: no probe that centres them changes."""
    z = HEALTHY[:rows, :dim]
    near = 20 * np.sqrt(np.square(z - z.mean(0)).sum(1).mean() / dim) + z - z.mean(0)
    assert 1e-4 < jssl.diagnose(near).verdict.spread < 0.005
    assert kind(near) == kind(z)
    assert said(near, "Near one point: the variance of the rows is")
    assert said(near, "After training this is a complete collapse")


def test_rows_whose_directions_vary_as_much_as_their_lengths_are_no_line():
    mean, across = np.linalg.qr(RNG.normal(size=(96, 2)))[0].T
    z = 10 * mean + 0.5 * across * RNG.normal(size=(900, 1)) + 1e-3 * HEALTHY
    seen = jssl.diagnose(z).verdict
    assert seen.directional < 0.005
    assert seen.leading > 0.985
    assert kind(z) == "dimensional"


@pytest.mark.parametrize(("dim", "count"), [(128, 1), (128, 3), (128, 16), (16, 2)])
def test_constant_offsets_of_several_coordinates_are_named(dim, count):
    z = RNG.normal(size=(900, dim))
    z[:, :count] += 2000
    assert kind(z) == "none"
    assert said(z, "a large constant offset")
    assert not said(z, "Near one point")


def test_variance_in_an_eighth_of_the_coordinates_is_no_set_of_outliers():
    """A collapse along the axes, beside a constant offset of all coordinates."""
    z = RNG.normal(size=(900, 16)) * np.where(np.arange(16) < 2, 1, 1e-3) + 5
    assert kind(z) == "dimensional"
    assert not said(z, "Coordinate")


def test_a_constant_offset_of_an_untrained_network_with_biases_is_named_and_is_no_collapse():
    """Five layers as PyTorch starts them: rows differ by a fortieth of their common offset."""
    draws, z = np.random.default_rng(3), np.random.default_rng(4).uniform(size=(900, 64))
    for _ in range(6):
        weights, bias = (draws.uniform(-1, 1, size=s) / 8 for s in ((64, 64), 64))
        hidden = z @ weights + bias
        z = np.maximum(hidden, 0)
    seen = jssl.diagnose(hidden).verdict
    assert 1e-5 < seen.spread < 2e-3
    assert kind(hidden) == "none"
    assert said(hidden, "All rows share a constant offset")
    assert said(hidden, "subtract their mean")


def test_rows_of_one_direction_and_many_lengths_are_a_complete_collapse():
    """As SimSiam without stop-gradient: the variance is half of the mean square."""
    lengths = np.exp(RNG.normal(size=(900, 1)))
    z = lengths * (1 + 0.01 * HEALTHY)
    assert jssl.diagnose(z).verdict.spread > 0.3
    assert kind(z) == "complete"
    assert said(z, "all rows have nearly one direction")


def test_variance_in_few_directions_is_a_dimensional_collapse():
    line = RNG.normal(size=(900, 1)) * np.ones((1, 96)) / 8 + 1e-2 * HEALTHY
    assert kind(line) == "dimensional"
    assert said(line, "about 1 direction")
    turn = np.linalg.qr(RNG.normal(size=(96, 96)))[0]
    steep = np.sqrt(0.18 * 0.7 ** np.arange(95) * 0.3)  # the other 18 % decay, as without gradient
    strong = HEALTHY * np.append(np.sqrt(0.82), steep) @ turn
    assert kind(strong) == "dimensional"
    assert said(strong, "82 %") or said(strong, "81 %") or said(strong, "83 %")
    # Spread over all others, as in backbones of SimSiam that a probe under noise can still use:
    even = HEALTHY * np.append(np.sqrt(0.82), np.full(95, np.sqrt(0.18 / 95))) @ turn
    assert kind(even) == "none"


def test_empty_directions_are_counted_and_are_no_collapse_by_themselves():
    """A projector of 96 outputs behind 30 units has 66 empty directions, trained or not."""
    z = RNG.normal(size=(900, 30)) @ RNG.normal(size=(30, 96))
    assert kind(z) == "none"
    assert said(z, "The numerical rank is 30 of 96 possible")
    assert said(z, "66 directions are empty")
    twelve = RNG.normal(size=(900, 12)) @ RNG.normal(size=(12, 96))
    assert kind(twelve) == "none"  # evenly spread over more directions than three
    few = RNG.normal(size=(900, 2)) @ RNG.normal(size=(2, 96))
    assert kind(few) == "dimensional"
    assert said(few, "of 96 possible (at most 13 is a collapse)")
    assert not said(HEALTHY, "empty")


def test_a_collapse_beside_an_outlier_coordinate_is_still_a_collapse():
    z = 1 + 8e-4 * HEALTHY
    z[:, 3] *= 1000
    assert kind(z) == "complete"
    assert said(z, "Coordinate 3")


def test_spectra_that_decrease_steadily_along_the_axes_have_no_outliers():
    for power in (0.5, 1, 2, 3):
        assert not len(few_far(np.arange(1, 97.0) ** -power))
    assert few_far(np.array([1.0, 1.0, 1.0, 99.0])).size == 0
    assert few_far(np.array([1.0] * 9 + [101.0])).tolist() == [9]
    assert few_far(np.zeros(5)).size == 0


def test_moments_without_rows_are_those_of_the_others():
    z = RNG.normal(size=(50, 4)) + 100
    for dropped in ([0], [49], [3, 4, 20], [0, 1, 49]):
        kept = np.delete(z, dropped, axis=0)
        seen = moments_without(z, np.array(dropped))
        assert seen.points == len(kept)
        np.testing.assert_allclose(seen.mean, kept.mean(0), rtol=1e-12)
        np.testing.assert_allclose(seen.covariance, np.cov(kept.T, bias=True), rtol=1e-9)


@pytest.mark.parametrize("size", [1, 3, 9, 9.9, 10, 10.1, 11, 30, 1e4])
@pytest.mark.parametrize("offset", [0, 5, 1000])
def test_far_rows_found_in_the_pass_are_those_of_all_distances(size, offset):
    z = RNG.normal(size=(400, 6))
    z[[17, 200]] = size * np.sqrt(np.median(np.square(z).sum(1)) / 6)
    z += offset
    expected = few_far(distances_from(z, z.mean(0)))
    assert far_rows(z, z.mean(0), scan(z)).tolist() == expected.tolist()
    # The first chunk, whose mean is the origin, may be far from the mean.
    ordered = z[np.argsort(z[:, 0])]
    expected = few_far(distances_from(ordered, z.mean(0)))
    assert far_rows(ordered, z.mean(0), scan(ordered, chunk=9)).tolist() == expected.tolist()


def test_rows_are_not_read_again_where_the_pass_shows_that_none_is_far():
    z = RNG.normal(size=(400, 6))
    assert far_rows(None, z.mean(0), scan(z)).tolist() == []
    z[3] *= FAR
    with pytest.raises(AttributeError):
        far_rows(None, z.mean(0), scan(z))


def test_the_verdict_from_moments_is_that_from_rows():
    for z in (HEALTHY, changed(offset), changed(large)):
        of_rows = judge(z, spectrum_of(z), np.arange(len(z)), Thresholds())
        of_moments = judge_moments(moments(z), Thresholds())
        assert of_rows.verdict.kind == of_moments.verdict.kind
        assert float(of_rows.verdict.directions) == float(of_moments.verdict.directions)
        assert of_rows.outliers.coordinates.tolist() == of_moments.outliers.coordinates.tolist()


def test_the_directional_spread_of_many_rows_is_that_of_few():
    """Two thousand rows of 512 coordinates are read in eight strips."""
    z = np.random.default_rng(3).normal(size=(2_000, 512)) * 0.01 + 1
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    expected = 1 - float(u.mean(0) @ u.mean(0))
    assert directional_spread(z) == pytest.approx(expected, rel=1e-9)
    lengths = np.random.default_rng(4).uniform(1, 9, size=(2_000, 1))
    judged = judge(lengths * z, spectrum_of(lengths * z), np.arange(2_000), Thresholds())
    assert KINDS[int(judged.verdict.kind)] == "complete"


def test_the_directional_spread_is_one_less_the_mean_cosine():
    z = RNG.normal(size=(30, 5)) + 1
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    assert directional_spread(z) == pytest.approx(1 - (u @ u.T).mean())
    assert directional_spread(np.concatenate([z, 0 * z])) == pytest.approx(1 - (u @ u.T).mean())
    assert np.isnan(directional_spread(0 * z))
    assert directional_spread(np.arange(1, 9)[:, None] * z[:1]) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("shape", [(2, 16), (900, 2)])
def test_one_or_two_possible_directions_cannot_show_a_dimensional_collapse(shape):
    z = RNG.normal(size=shape) * np.append(1, np.full(shape[1] - 1, 1e-3))
    assert kind(z) == "none"
    assert said(z, "too few to show a dimensional collapse")


def test_equal_checkpoints_of_few_rows_are_not_said_to_hold_other_samples():
    for rows in (4, 5, 7):
        z = RNG.normal(size=(rows, 16))
        seen = jssl.diagnose(z, checkpoints={"1": z, "2": z + 0.1})
        assert not any("do not correspond" in line for line in seen.summary + seen.caveats)


@pytest.mark.parametrize("offset", [0.0, 5.0, 200.0])
def test_the_only_coordinate_with_variance_of_a_few_is_a_direction_and_no_outlier(offset):
    z = RNG.normal(size=(900, 4)) * np.array([1, 1e-3, 1e-3, 1e-3]) + offset
    assert kind(z) == "dimensional"
    assert not said(z, "Coordinate")


@pytest.mark.parametrize("seed", range(5))
def test_a_coordinate_with_a_large_variance_is_not_said_to_have_an_offset(seed):
    scales = np.r_[1e3, 1e5, np.ones(62)]
    z = np.random.default_rng(seed).normal(size=(2000, 64)) * scales
    assert said(z, "Coordinate 1 has a much larger variance")
    assert not said(z, "has a large constant offset")
    assert kind(z) == "dimensional"  # coordinate 0 is left, with nearly all of the variance


def test_a_coordinate_with_large_mean_and_variance_is_named_by_the_larger():
    for mean, scale, said_to_have in (
        (1e4, 1e2, "a large constant offset"),
        (1e2, 1e4, "variance"),
    ):
        z = HEALTHY.copy()
        z[:, 7] = mean + scale * z[:, 7]
        assert said(z, said_to_have)
        assert kind(z) == "none"


@pytest.mark.parametrize("sizes", [(1e3, 1e6), (1e6, 1e3), (1e3, 1e5, 1e7), (50, 1e4)])
def test_far_rows_are_found_beside_rows_that_are_much_farther(sizes):
    z = RNG.normal(size=(2000, 64))
    chosen = np.arange(len(sizes))
    z[chosen] *= np.array(sizes)[:, None]
    assert far_rows(z, z.mean(0)).tolist() == chosen.tolist()
    assert kind(z) == "none"
    least = np.square(z[chosen] - z[len(sizes) :].mean(0)).sum(1).min()
    others = np.square(z[len(sizes) :] - z[len(sizes) :].mean(0)).sum(1)
    assert least > FAR * np.median(others)


@pytest.mark.parametrize(
    ("mean", "scale"), [(1e4, 1), (1e4, 50), (1e4, 2000), (1e3, 30), (100, 10)]
)
def test_a_coordinate_with_a_larger_mean_than_variance_is_set_aside_among_many(mean, scale):
    z = np.random.default_rng(1).normal(size=(300, 64))
    z[:, 2] = mean + scale * z[:, 2]
    assert kind(z) == "none"
    assert said(z, "Coordinate 2 has a large constant offset")


def test_rows_along_one_of_few_axes_are_a_complete_collapse_and_no_outlier():
    z = 1e-3 * np.random.default_rng(1).normal(size=(300, 8))
    z[:, 2] = 1 + 0.5 * np.abs(np.random.default_rng(2).normal(size=300))
    assert kind(z) == "complete"
