"""Alignment, uniformity, CKA, overlaps and neighbours against brute force and scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.special import logsumexp
from sklearn.neighbors import KNeighborsClassifier

from jssl.diagnostics import alignment, cka, knn_probe, subspace_overlap, uniformity
from jssl.errors import InputError

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(60, 5)) + 1
U = Z / np.linalg.norm(Z, axis=1, keepdims=True)


def test_alignment_is_the_mean_distance_to_a_power():
    other = Z + RNG.normal(size=Z.shape)
    v = other / np.linalg.norm(other, axis=1, keepdims=True)
    for power in (1.0, 2.0):
        terms = np.linalg.norm(U - v, axis=1) ** power
        found = alignment(Z, 7 * other, power=power)
        np.testing.assert_allclose(found.value, terms.mean(), rtol=1e-12)
        np.testing.assert_allclose(found.error, terms.std(ddof=1) / np.sqrt(60), rtol=1e-12)
    assert alignment(Z, -Z).value == pytest.approx(4)


def test_uniformity_is_scipys_mean_over_distinct_pairs_in_any_blocks():
    for sharpness in (0.5, 2.0):
        expected = np.log(np.exp(-sharpness * pdist(U, "sqeuclidean")).mean())
        for block in (1, 7, 60, 512):
            found = uniformity(jnp.asarray(3 * Z), sharpness=sharpness, block=block)
            np.testing.assert_allclose(found.value, expected, rtol=1e-10)


@pytest.mark.float32
@pytest.mark.parametrize("sharpness", [0.5, 2.0, 8.0, 20.0, 1000.0])
def test_uniformity_of_any_sharpness_is_the_log_of_scipys_mean(sharpness):
    antipodal = uniformity(jnp.array([[1.0, 0.0], [-1.0, 0.0]]), sharpness=sharpness)
    assert antipodal.value == pytest.approx(-4 * sharpness)
    assert jnp.isnan(antipodal.error)  # one pair does not tell
    z = np.random.default_rng(0).normal(size=(200, 64)).astype(np.float32)
    u = z.astype(float) / np.linalg.norm(z.astype(float), axis=1, keepdims=True)
    logs = -sharpness * pdist(u, "sqeuclidean")
    found = uniformity(z, sharpness=sharpness)
    np.testing.assert_allclose(found.value, logsumexp(logs) - np.log(len(logs)), rtol=1e-5)
    each = np.zeros((200, 200))
    each[np.triu_indices(200, 1)] = np.exp(logs - logs.max())
    means = (each + each.T).sum(1)
    error = 2 * means.std() / np.sqrt(200) / means.mean()
    np.testing.assert_allclose(found.error, error, rtol=1e-3)


@pytest.mark.float32
def test_debiased_cka_of_fifty_thousand_rows_is_that_of_float64():
    """(n - 1)(n - 2) leaves int32 from 46,343 rows on."""
    a, noise = np.random.default_rng(0).normal(size=(2, 50_000, 2)).astype(np.float32)
    b = a + 3 * noise
    x, y = (z.astype(float) - z.mean(0, dtype=float) for z in (a, b))
    n = len(x)

    def unbiased(p, q):
        own = (p**2).sum(1), (q**2).sum(1)
        trace = np.sum((p.T @ q) ** 2) - np.sum(own[0] * own[1])
        ends = own[0].sum() * own[1].sum() / ((n - 1) * (n - 2))  # centred rows: K' 1 = -own
        return trace + ends - 2 * np.sum(own[0] * own[1]) / (n - 2)

    expected = unbiased(x, y) / np.sqrt(unbiased(x, x) * unbiased(y, y))
    np.testing.assert_allclose(cka(a, b, debiased=True), expected, rtol=1e-4)


def test_the_error_of_uniformity_is_its_spread_over_samples():
    draws = jax.random.normal(jax.random.key(0), (400, 100, 3)) + jnp.array([1.0, 0, 0])
    found = jax.vmap(uniformity)(draws)
    measured, claimed = found.value.std(), found.error.mean()
    assert abs(claimed / measured - 1) < 3.9 / np.sqrt(2 * 400) + 0.1  # second order: 1 / n


def test_zero_rows_and_constant_embeddings_have_an_answer():
    zeros = np.zeros((4, 3))
    assert uniformity(jnp.asarray(zeros)).value == 0
    assert alignment(zeros, zeros).value == 0
    assert alignment(zeros, np.eye(4)[:, :3]).value == pytest.approx(0.75)
    assert uniformity(jnp.ones((9, 3))).value == pytest.approx(0, abs=1e-12)
    assert np.isfinite(float(jax.grad(lambda z: uniformity(z).value)(jnp.asarray(Z)).sum()))


def brute_cka(a, b, *, debiased):
    n = len(a)
    k, one = (a @ a.T, b @ b.T), np.ones((n, n)) / n

    def plain(x, y):
        h = np.eye(n) - one
        return np.trace(x @ h @ y @ h)

    def unbiased(x, y):
        x, y = x - np.diag(np.diag(x)), y - np.diag(np.diag(y))
        first = sum(x[i, j] * y[j, i] for i in range(n) for j in range(n))
        second = x.sum() * y.sum() / ((n - 1) * (n - 2))
        return first + second - 2 / (n - 2) * (x @ y).sum()

    hsic = unbiased if debiased else plain
    return hsic(*k) / np.sqrt(hsic(k[0], k[0]) * hsic(k[1], k[1]))


@pytest.mark.parametrize("debiased", [False, True])
def test_cka_is_that_of_the_gram_matrices(debiased):
    a, b = RNG.normal(size=(12, 4)) + 3, RNG.normal(size=(12, 7)) - 1
    b[:, :2] += a[:, :2]
    found = cka(a, b, debiased=debiased)
    np.testing.assert_allclose(found, brute_cka(a, b, debiased=debiased), rtol=1e-9)


def test_cka_is_one_for_rotated_shifted_scaled_embeddings_and_not_for_stretched_ones():
    q = np.linalg.qr(RNG.normal(size=(5, 5)))[0]
    for debiased in (False, True):
        assert cka(Z, 1e-9 * Z @ q + 2, debiased=debiased) == pytest.approx(1, abs=1e-5)
        assert cka(Z, Z * np.array([9, 1, 1, 1, 1]), debiased=debiased) < 0.9


def test_only_the_debiased_cka_of_unrelated_embeddings_is_zero_in_high_dimensions():
    a, b = RNG.normal(size=(2, 300, 20, 40))
    plain, debiased = cka(a, b), cka(a, b, debiased=True)
    assert plain.min() > 0.4
    assert abs(debiased.mean()) < 3.9 * debiased.std() / np.sqrt(300)


def test_cka_of_a_constant_embedding_is_undefined():
    assert np.isnan(cka(Z, np.full((60, 2), 0.1)))


def test_overlap_of_leading_components_ignores_what_is_small_and_what_is_shifted():
    q = np.linalg.qr(RNG.normal(size=(40, 4)))[0]
    q = q - q.mean(0)
    a = q @ np.diag([9, 8, 1e-3, 1e-3]) + 5
    b = np.hstack([q[:, :2] @ RNG.normal(size=(2, 6)), np.ones((40, 1))])
    assert subspace_overlap(a, b, leading=2) == pytest.approx(1, abs=1e-3)
    assert subspace_overlap(b, b, leading=3) == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="leading"):
        subspace_overlap(a, b, leading=5)


def centred_orthonormal(rows, columns):
    ones = np.ones((rows, 1))
    return np.linalg.qr(np.hstack([ones, RNG.normal(size=(rows, columns))]))[0][:, 1:]


def quotient(function, z, step=1e-5):
    found = np.zeros(z.shape)
    for at in np.ndindex(*z.shape):
        move = np.zeros(z.shape)
        move[at] = step
        found[at] = (function(z + move) - function(z - move)) / (2 * step)
    return found


@pytest.mark.parametrize("values", [[3, 3, 1, 1, 1], [4, 3, 2, 1, 0.5], [2, 2, 0, 0, 0]])
def test_the_gradient_of_an_overlap_is_that_of_the_spans_where_singular_values_repeat(values):
    q, r = centred_orthonormal(7, 5), np.linalg.qr(RNG.normal(size=(5, 5)))[0]
    z, other = q @ np.diag(values).astype(float) @ r, RNG.normal(size=(7, 5))
    function = jax.jit(lambda z: subspace_overlap(z, jnp.asarray(other), leading=2))
    gradient = jax.jit(jax.grad(function))(z)
    assert np.abs(gradient).max() > 1e-2
    np.testing.assert_allclose(gradient, quotient(function, z), atol=1e-7)
    batch = jax.vmap(jax.grad(function))(jnp.stack([z, 2 * z]))
    np.testing.assert_allclose(batch, jnp.stack([gradient, gradient / 2]), atol=1e-9)


def test_an_overlap_is_undefined_where_the_span_is():
    q = centred_orthonormal(7, 3)
    tied, other = jnp.asarray(q @ np.diag([2.0, 1.0, 1.0])), jnp.asarray(q)
    function = lambda z: subspace_overlap(z, other, leading=2)  # noqa: E731
    assert np.isnan(function(tied))
    assert np.isnan(jax.grad(function)(tied)).any()
    assert subspace_overlap(tied, other, leading=3) == pytest.approx(1)
    dependent = np.hstack([Z[:, :2], Z[:, :1] - 3 * Z[:, 1:2]])
    assert np.isnan(subspace_overlap(dependent, Z[:, :3]))
    assert subspace_overlap(Z[:, :3], Z[:, :3] * np.array([1e9, 1, 1e-9])) == pytest.approx(1)


def test_neighbours_vote_as_in_scikit_learn():
    labels = (Z[:, 0] > 1).astype(int) + (Z[:, 1] > 1)
    train, test = slice(0, 40), slice(40, None)
    for k in (1, 4, 7):
        fit = KNeighborsClassifier(k, metric="cosine").fit(Z[train], labels[train])
        expected = (fit.predict(Z[test]) == labels[test]).mean()
        for block in (3, 512):
            found = knn_probe(
                Z[train], labels[train], Z[test], labels[test], neighbours=k, block=block
            )
            assert found == pytest.approx(expected)


def test_neighbours_of_themselves_are_right_and_length_does_not_matter():
    labels = np.arange(60) % 3
    lengths = RNG.uniform(0.1, 9, size=(60, 1))
    assert knn_probe(Z, labels, Z * lengths, labels, neighbours=1) == 1


def test_everything_maps_over_leading_axes_and_jits():
    a, b = jnp.asarray(RNG.normal(size=(2, 3, 20, 4)))
    for function in (
        cka,
        lambda x, y: cka(x, y, debiased=True),
        lambda x, y: alignment(x, y).value,
        subspace_overlap,
        lambda x, y: subspace_overlap(x, y, leading=2),
    ):
        single = jax.jit(function)
        each = [single(x, y) for x, y in zip(a, b, strict=True)]
        np.testing.assert_allclose(single(a, b), each, rtol=1e-9)
        np.testing.assert_allclose(jax.jit(jax.vmap(function))(a, b), each, rtol=1e-9)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="views must match"):
        alignment(Z, Z[1:])
    with pytest.raises(InputError, match="n >= 2"):
        uniformity(jnp.ones((1, 3)))
    with pytest.raises(InputError, match="same four or more points"):
        cka(Z[:3], Z[:3], debiased=True)
    with pytest.raises(InputError, match="neighbours"):
        knn_probe(Z, np.zeros(60, int), Z, np.zeros(60, int), neighbours=61)


@pytest.mark.float32
def test_dtype_is_kept():
    z = jnp.ones((6, 3), jnp.float32).at[0].set(0)
    for value in (alignment(z, z).value, uniformity(z).value, cka(z, z), cka(z, z, debiased=True)):
        assert value.dtype == jnp.float32
