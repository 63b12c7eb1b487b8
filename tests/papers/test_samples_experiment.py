"""Claims on the number of pairs hold where they should, and fail under a wrong formula."""

import re

import numpy as np
import pytest

from jssl.data import images
from jssl.forecast.modes import modes_of
from jssl.papers import Settings, experiment, run_study
from jssl.papers.samples import fashion, kernel, linear, subsets
from jssl.papers.samples.subsets import Mean, Reference
from jssl.theory import sampling
from jssl.theory.sampling import Fluctuations


def verdicts(study):
    return {c.name.split("/")[1]: c.verdict for c in run_study("samples", study, Settings()).claims}


@pytest.fixture
def few_subsets(monkeypatch):
    monkeypatch.setitem(linear.SUBSETS, "quick", 600)


def test_all_claims_on_a_linear_encoder_hold(few_subsets):
    found = verdicts("linear encoder")
    assert set(found.values()) == {"holds"}


def test_forgetting_the_finite_reference_fails_the_claim_on_the_error(monkeypatch, few_subsets):
    monkeypatch.setattr(sampling, "effective_pairs", lambda n, total: n)
    assert verdicts("linear encoder")["error-linear"] == "fails"


def test_independent_errors_of_neighbours_fail_the_claim_on_the_order(monkeypatch, few_subsets):
    plain = sampling.gap_fluctuations

    def wrong(sample, count):
        found = plain(sample, count)
        return found._replace(variances=found.variances / 2)

    monkeypatch.setattr(sampling, "gap_fluctuations", wrong)
    assert verdicts("linear encoder")["order-linear"] != "holds"


def test_dropping_small_modes_fails_the_claims_on_bias_of_a_network(monkeypatch):
    monkeypatch.setitem(kernel.SUBSETS, "quick", (20, 20, 20, 30))
    monkeypatch.setattr(sampling, "_beyond", lambda sample, entries: 0 * entries[:, 0])
    found = verdicts("mlp-relu-3")
    assert found["bias-network"] == found["bias-first-network"] == "fails"
    assert found["error-first-network"] != "fails"


def test_modes_of_a_subset_from_near_ones_are_those_of_a_dense_decomposition():
    draws = np.random.default_rng(0)
    x = draws.normal(size=(60, 12)) / np.arange(1, 13)
    y = x + 0.05 * draws.normal(size=x.shape)
    features = np.concatenate([x, y])
    gram = features @ features.T + 1e-3 * np.eye(120)
    expected, coefficients = modes_of(gram, 3, False)
    start = np.linalg.solve(gram, features)[:, :8]  # functions near the leading modes
    values, found = kernel.warm_modes(gram, start, 3)
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    overlaps = np.abs(coefficients.T @ gram @ found)
    np.testing.assert_allclose(overlaps, np.eye(3), atol=1e-4)


def test_eigenvectors_from_near_ones_are_those_of_a_dense_decomposition():
    draws = np.random.default_rng(0)
    x = draws.normal(size=(200, 30)) / np.arange(1, 31)
    start = np.linalg.eigh(x.T @ x / 200)[1][:, ::-1][:, :12]
    gamma = x[:60].T @ x[:60] / 60
    expected, vectors = np.linalg.eigh(gamma)
    values, found = linear.leading_near(gamma, start, 5)
    np.testing.assert_allclose(values, expected[::-1][:5], rtol=1e-8)
    np.testing.assert_allclose(np.abs(vectors[:, ::-1][:, :5].T @ found), np.eye(5), atol=1e-4)


def reference(solve, total=50):
    values = np.array([4.0, 2.0, 1.0])
    products = np.tile(values, (total, 1))
    ones = Fluctuations(*np.ones((5, 2)))
    blocks = ((0, 1), (1, 3))
    gaps, single = np.ones(2), Fluctuations(*np.ones((5, 3)))
    return Reference(total, values, products, blocks, ones, single, gaps, np.zeros(2), solve)


def test_rotations_inside_a_block_do_not_count_and_exchanges_do():
    exchanged = np.eye(3)[[0, 2, 1]]
    moved = subsets.move(
        reference(subsets.one_by_one(lambda rows: (np.array([5.0, 2.5, 1.0]), exchanged))),
        10, 4, np.random.default_rng(0),
    )  # fmt: skip
    np.testing.assert_allclose(moved.rotations, 0, atol=1e-12)
    np.testing.assert_allclose(moved.shifts, [[1.0, 0.5]] * 4)
    np.testing.assert_allclose(moved.firsts, 0)
    assert moved.exchanged.tolist() == [[False, True]] * 4
    assert moved.m == 12.5


def test_the_next_order_is_the_rotation_of_a_mode_and_the_widest_error_at_the_edges():
    found = reference(lambda rows: None).next_order(10)
    np.testing.assert_allclose(found, [(1 + 1 / 4) / 12.5, (1 / 2 + 1 / 4) / 12.5])


def test_blocks_with_a_large_next_order_are_left_out():
    assert reference(lambda rows: None).clear(10) == slice(0)
    assert reference(lambda rows: None).clear(49) == slice(2)


def test_ratios_are_one_for_errors_as_predicted():
    draws = np.random.default_rng(1)
    given, m = reference(lambda rows: None), 12.5
    noise = draws.normal(size=(20_000, 2)) / m**0.5
    shifts = noise + 1 / m
    moved = subsets.Moved(10, m, np.ones((20_000, 3)), shifts, noise, 1 / m + 0 * noise, None)
    for ratio in (subsets.spread_ratio, subsets.shift_ratio, subsets.rotation_ratio):
        found = ratio(given, moved)
        assert abs(found.value - 1) <= 4 * found.error + 1e-12


def test_the_error_of_a_spread_is_not_below_that_of_normal_numbers():
    given = reference(lambda rows: None)
    shifts = np.array([[1.0, 1.0], [-1.0, -1.0]])
    moved = subsets.Moved(10, 12.5, None, shifts, None, None, None)
    assert subsets.spread_ratio(given, moved).error == pytest.approx(8**-0.5)


def test_exponents_of_power_laws_are_found_with_their_errors():
    pairs = [10.0, 20.0, 80.0]
    found = subsets.slope(pairs, [Mean(n**-0.5, 0.01 * n**-0.5) for n in pairs])
    assert found.value == pytest.approx(-0.5)
    logs = np.log(pairs) - np.log(pairs).mean()
    assert found.error == pytest.approx(0.01 / np.linalg.norm(logs))


@pytest.fixture
def fashion_digits(monkeypatch):
    """Digits enlarged to the size of Fashion-MNIST, and few pairs."""
    x = np.kron(images.load("digits").x[:400, :7, :7], np.ones((1, 4, 4, 1), np.float32))
    monkeypatch.setattr(fashion.images, "load", lambda name: images.Images(x, None))
    for name, value in {"TOTAL": 200, "TAKEN": 80, "SUBSETS": 3, "COUNT": 4, "KEPT": 24}.items():
        monkeypatch.setattr(fashion, name, value)


def test_a_reference_without_its_gram_matrix_is_that_of_the_matrix(fashion_digits):
    settings = Settings("paper", 0)
    pairs = fashion.fashion_pairs(settings, 200, 5)
    model = fashion.named_encoder("mlp-relu-3", pairs.first.shape[1:])
    free = fashion.reference_without_gram(model, pairs, settings)
    gram = np.asarray(fashion.gram_of(model, pairs), np.float64)
    held = kernel.reference_of(gram, 80, 4, settings.generator(8))
    np.testing.assert_allclose(free.eigenvalues, held.eigenvalues, rtol=1e-4)
    np.testing.assert_allclose(free.products, held.products, atol=2e-3 * held.products.max())
    np.testing.assert_allclose(free.single.variances, held.single.variances, rtol=1e-2)
    np.testing.assert_allclose(free.single.shifts, held.single.shifts, rtol=2e-2)
    rows = np.arange(0, 160, 2)[None]
    for a, b in zip(free.solve(rows), held.solve(rows), strict=True):
        np.testing.assert_allclose(np.abs(a), np.abs(b), atol=1e-3 * np.abs(b).max())


def test_a_study_of_many_pairs_has_claims_figures_and_sentences(fashion_digits):
    part = fashion.dense_network(Settings("paper", 0))
    assert [claim.name for claim in part.claims] == [
        "samples/error-fashion",
        "samples/bias-fashion",
        "samples/rotation-fashion",
    ]
    assert all(len(claim.statement.split()) <= 25 for claim in part.claims)
    assert len(part.figures) == 1
    assert re.search(r"from 80 pairs exceed those from 200 by", part.summary[0])
    assert re.search(r"resolved by two standard errors: \d+ by 80, \d+ by 200", part.summary[1])


def test_fashion_mnist_is_used_at_scale_paper_only(monkeypatch, tmp_path):
    monkeypatch.setattr(images, "find", lambda name: tmp_path)
    assert len(experiment("samples", Settings("paper")).studies) == 4
    quick = experiment("samples", Settings("quick"))
    assert len(quick.studies) == 2
    assert quick.caveats[0].startswith("The images are digits.")
