"""Views in another order than the embeddings are noticed; alignment stays that of the pairs."""

import numpy as np
import pytest

import jssl
from jssl.diagnosis.views import compare

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(200, 16)) + 1
VIEWS = Z + 0.3 * RNG.normal(size=Z.shape)


def directions(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def test_distances_are_those_of_all_pairs_written_out():
    seen = compare(Z, VIEWS)
    apart = np.square(directions(Z)[:, None] - directions(VIEWS)[None]).sum(-1)
    others = ~np.eye(200, dtype=bool)
    assert seen.paired == pytest.approx(np.diag(apart).mean(), rel=1e-12)
    assert seen.unpaired == pytest.approx(apart[others].mean(), rel=1e-10)
    assert seen.error == pytest.approx(np.diag(apart).std(ddof=1) / np.sqrt(200), rel=1e-10)
    assert seen.matched


@pytest.mark.parametrize(
    "views",
    [VIEWS[::-1], np.roll(VIEWS, 1, 0), RNG.permutation(VIEWS), RNG.normal(size=Z.shape)],
    ids=["reversed", "shifted", "shuffled", "unrelated"],
)
def test_views_of_other_rows_are_said_not_to_match(views):
    seen = jssl.diagnose(Z, views=views)
    assert "do not match" in seen.summary[-1]
    assert "LiDAR" not in seen.metrics
    assert any("LiDAR was left out" in caveat for caveat in seen.caveats)


def test_matching_views_of_any_strength_match():
    for noise in (1e-3, 0.3, 2.0):
        assert compare(Z, Z + noise * RNG.normal(size=Z.shape)).matched
    few = RNG.normal(size=(4, 16))
    assert compare(few, few + 0.1).matched
    assert "LiDAR" in jssl.diagnose(Z, views=VIEWS).summary[-1]


def test_views_that_equal_the_embeddings_are_said_to():
    for views in (Z, 3 * Z):
        assert any("equal the embeddings" in each for each in jssl.diagnose(Z, views=views).caveats)
    ones = np.ones((20, 3))
    assert not any("equal" in each for each in jssl.diagnose(ones, views=ones).caveats)
