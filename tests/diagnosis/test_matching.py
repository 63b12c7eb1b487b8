"""Debiased CKA in chunks against U-centred Gram matrices; which rows correspond."""

from itertools import pairwise

import numpy as np
import pytest

from jssl import diagnostics
from jssl.data import chunks
from jssl.diagnosis.homogeneity import same_distribution
from jssl.diagnosis.matching import debiased_cka, prepare, rows_correspond

RNG = np.random.default_rng(0)


def u_centred(gram):
    """Szekely and Rizzo 2014, definition 2."""
    n = len(gram)
    sums = gram.sum(0)
    centred = gram - (sums[:, None] + sums) / (n - 2) + sums.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0)
    return centred


def reference(a, b):
    (k, l_) = ((z - z[0]) @ (z - z[0]).T for z in (a, b))
    for gram in (k, l_):
        np.fill_diagonal(gram, 0)
    k, l_ = u_centred(k), u_centred(l_)
    return np.sum(k * l_) / np.sqrt(np.sum(k**2) * np.sum(l_**2))


@pytest.mark.parametrize(("n", "dim"), [(40, 5), (12, 30), (4, 3), (30, 30)])
def test_cka_in_chunks_is_that_of_u_centred_gram_matrices(n, dim, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 8 * dim * 7)
    a, noise = RNG.normal(size=(2, n, dim))
    b = a @ RNG.normal(size=(dim, dim)) + noise + 100
    assert debiased_cka(prepare(a), prepare(b)) == pytest.approx(reference(a, b), rel=1e-9)
    assert debiased_cka(prepare(a), prepare(a)) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(("n", "dim"), [(300, 256), (100, 256)])
def test_cka_of_independent_embeddings_is_zero_within_its_spread(n, dim):
    a, b = RNG.normal(size=(2, n, dim))
    found = debiased_cka(prepare(a), prepare(b))
    assert abs(found) < 4 * np.sqrt(2) / n
    assert found == pytest.approx(float(diagnostics.cka(a, b, debiased=True)), abs=1e-9)


def test_cka_of_a_constant_few_or_other_rows_is_not_a_number():
    z = RNG.normal(size=(20, 3))
    for other in (np.full((20, 3), 0.1), z[1:]):
        assert np.isnan(debiased_cka(prepare(z), prepare(other)))
    assert np.isnan(debiased_cka(prepare(z[:3]), prepare(z[:3])))


def test_rows_correspond_where_neighbours_are_alike():
    """Ten sets of random rows are told from ten noisy copies of one set, at few rows as well."""
    for n in (20, 200):
        for dim in (1, 2, 50):
            for seed in range(10):
                draws = np.random.default_rng(seed)
                base = draws.normal(size=(n, dim))
                for kept, expected in ((0, False), (1, True)):
                    sets = [kept * base + 0.5 * draws.normal(size=(n, dim)) for _ in range(10)]
                    seen = [prepare(z) for z in sets]
                    alike = [debiased_cka(*pair) for pair in pairwise(seen)]
                    assert rows_correspond(alike, n) is expected
    assert rows_correspond([np.nan], 20) is None


def test_the_permutation_test_is_wrong_as_often_as_it_says():
    values = []
    for seed in range(40):
        draws = np.random.default_rng(seed)
        values.append(same_distribution(list(draws.normal(size=(3, 30, 8))), draws))
    assert np.mean(np.array(values) <= 0.1) < 0.1 + 4 * np.sqrt(0.09 / 40)
    assert np.mean(values) == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / 40))
    draws = np.random.default_rng(0)
    a, b = draws.normal(size=(2, 100, 8))
    for other in (1.5 * b, b + 0.5, b * np.linspace(0.3, 1.7, 8)):
        assert same_distribution([a, other], draws) < 0.01
    assert same_distribution([0 * a, 0 * b], draws) == 1
