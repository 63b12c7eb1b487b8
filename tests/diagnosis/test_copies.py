"""Views and copies of one sample are found; classes and collapse are not taken for them."""

import numpy as np
import pytest

from jssl.diagnosis.copies import find_copies

RNG = np.random.default_rng(0)
BASE = RNG.normal(size=(60, 64))
CLASSES = RNG.integers(0, 4, 60)


def found(z, classes, order=None):
    order = np.arange(len(z)) if order is None else order
    return find_copies(z[order], classes[order], np.arange(len(z)), len(z))


def views(count, noise, stacked):
    lay = (lambda a: np.concatenate([a] * count)) if stacked else (lambda a: np.repeat(a, count, 0))
    z = lay(BASE)
    return z + noise * RNG.normal(size=z.shape), lay(CLASSES), lay(np.arange(60))


def same_groups(groups, samples):
    pairs = np.unique(np.stack([groups, samples]), axis=1).shape[1]
    return pairs == len(np.unique(groups)) == len(np.unique(samples))


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize(("count", "noise"), [(2, 0.0), (8, 0.05), (4, 0.7), (100, 0.1)])
def test_views_in_order_are_one_group_each(stacked, count, noise):
    z, classes, samples = views(count, noise, stacked)
    seen = found(z, classes)
    assert same_groups(seen.groups, samples)
    assert f"60 groups of up to {count} rows" in seen.caveat


def test_near_duplicates_in_any_order_are_grouped():
    z, classes, samples = views(5, 0.2, stacked=True)
    order = RNG.permutation(len(z))
    assert same_groups(found(z, classes, order).groups, samples[order])


def test_a_few_copies_among_many_rows_are_grouped():
    z, classes = np.concatenate([BASE, BASE[:3]]), np.concatenate([CLASSES, CLASSES[:3]])
    seen = found(z, classes, RNG.permutation(63))
    assert seen.groups.max() + 1 == 60
    assert "6 of 63" in seen.caveat


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dim", [1, 2, 16, 256])
def test_independent_rows_are_no_copies(dim, seed):
    draws = np.random.default_rng(seed)
    for z in (draws.normal(size=(600, dim)), draws.standard_t(2, size=(600, dim))):
        seen = found(z, draws.integers(0, 3, 600))
        assert not seen.any_copies
        assert seen.caveat is None


@pytest.mark.parametrize("order", [np.repeat, np.tile])
def test_sorted_and_cyclic_classes_are_no_copies(order):
    classes = np.sort(np.arange(500) % 10) if order is np.repeat else np.arange(500) % 10
    z = 2 * RNG.normal(size=(10, 64))[classes] + RNG.normal(size=(500, 64))
    assert not found(z, classes).any_copies


def test_tight_classes_and_points_of_a_collapse_are_not_treated_as_copies():
    classes = np.repeat(np.arange(100), 5)
    tight = 5 * RNG.normal(size=(100, 64))[classes] + 0.1 * RNG.normal(size=(500, 64))
    points = RNG.normal(size=(6, 64))[RNG.integers(0, 6, 500)]
    for z, labels in (
        (tight, classes),
        (points, RNG.integers(0, 3, 500)),
        (0 * tight, classes % 3),
    ):
        seen = found(z, labels)
        assert not seen.any_copies
        assert "not treated as copies" in seen.caveat
