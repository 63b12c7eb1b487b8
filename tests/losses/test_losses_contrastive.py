"""Contrastive losses: every choice of InfoNCE, and what the theory says of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.losses.contrastive import (
    align_uniform,
    info_nce,
    nt_xent,
    spectral_contrastive,
)
from jssl.losses.decorrelation import vicreg_squared


def embeddings(seed=0, n=6, dim=3):
    rng = np.random.default_rng(seed)
    za = rng.normal(size=(n, dim))
    return za, 0.6 * za + 0.7 * rng.normal(size=(n, dim)) + 0.3


def centred(z):
    return z - z.mean(axis=0)


SCORE = {
    "dot": lambda a, b: a @ b,
    "cosine": lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b),
    "euclidean": lambda a, b: -(np.linalg.norm(a - b) ** 2) / 2,
}


def by_hand(za, zb, score, negatives, include_positive, temperature):
    """Return InfoNCE from its definition, one anchor and one negative at a time."""
    total = 0.0
    for i, anchor in enumerate(za):
        if isinstance(negatives, str):
            others = [zb[j] for j in range(len(zb)) if j != i]
            if negatives == "views":
                others += [za[j] for j in range(len(za)) if j != i]
        else:
            others = list(negatives)
        positive = np.exp(SCORE[score](anchor, zb[i]) / temperature)
        apart = sum(np.exp(SCORE[score](anchor, other) / temperature) for other in others)
        total -= np.log(positive / (apart + include_positive * positive))
    return total / len(za)


@pytest.mark.parametrize("score", sorted(SCORE))
@pytest.mark.parametrize("negatives", ["others", "views", "explicit"])
@pytest.mark.parametrize("include_positive", [True, False])
def test_info_nce_is_its_definition(score, negatives, include_positive):
    za, zb = embeddings()
    negatives = 1.3 * embeddings(5, n=4)[1] if negatives == "explicit" else negatives
    options = {"score": score, "include_positive": include_positive, "temperature": 0.8}
    expected = by_hand(za, zb, negatives=negatives, **options)
    other_way = by_hand(zb, za, negatives=negatives, **options)

    @jax.jit
    def both(za, zb):
        return tuple(
            info_nce(za, zb, negatives=negatives, symmetric=symmetric, **options)
            for symmetric in (False, True)
        )

    one, symmetric = both(za, zb)
    np.testing.assert_allclose(one, expected, rtol=1e-11)
    np.testing.assert_allclose(symmetric, (expected + other_way) / 2, rtol=1e-11)


def test_expansion_near_zero_is_alignment_plus_quartic():
    # log n - tr C / T + tr(C_0 C_1) / (2 T^2), views centred; the next cumulant has order six
    za, zb = map(centred, embeddings())
    temperature, n = 0.7, len(za)
    residuals = []
    for scale in (0.1, 0.05):
        a, b = scale * za, scale * zb
        quadratic = np.sum(a * b) / n / temperature
        quartic = np.trace((a.T @ a / n) @ (b.T @ b / n)) / (2 * temperature**2)
        expected = np.log(n) - quadratic + quartic
        residuals.append(info_nce(a, b, temperature=temperature) - expected)
        assert abs(residuals[-1]) < 0.05 * quartic
    assert 50 < residuals[0] / residuals[1] < 80  # 2^6


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("include_positive", [True, False])
def test_curvature_at_zero_counts_the_positive(temperature, include_positive):
    # L = const - Tr[W B W^T] / T + O(W^4), B = K/(K+1) (A_neg - A_pos); no factor without it
    rng = np.random.default_rng(1)
    anchor, positive = rng.normal(size=(2, 7, 3))
    negative = rng.normal(size=(4, 3))
    w = rng.normal(size=(2, 3))

    def half_moment(differences):
        return differences.T @ differences / (2 * len(differences))

    a_neg = half_moment((anchor[:, None] - negative).reshape(-1, 3))
    b = a_neg - half_moment(anchor - positive)
    factor = 4 / 5 if include_positive else 1.0

    def loss(scale):
        za, zb, zn = (scale * x @ w.T for x in (anchor, positive, negative))
        return info_nce(
            za,
            zb,
            negatives=zn,
            score="euclidean",
            temperature=temperature,
            include_positive=include_positive,
        )

    curvature = jax.jit(jax.hessian(loss))(0.0)
    np.testing.assert_allclose(
        curvature, -2 * factor / temperature * np.trace(w @ b @ w.T), rtol=1e-9
    )


def test_many_gaussian_negatives_give_the_exact_loss():
    # Tr[W A_pos W^T] - logdet(I + Kn)/2 - Tr[(I + Kn)^-1 Ka]/2 with the sample's A_pos and Ka:
    # given the anchors only the negatives are random, and E exp(-|z - z'|^2/2) is Gaussian
    rng = np.random.default_rng(0)
    n, count = 400, 20_000
    noise, w = np.array([0.5, 1.2]), np.array([[0.6, 0.2], [-0.1, 0.4]])
    x = rng.normal(size=(n, 2)) * [1.4, 0.8]
    first, second = (x + noise * rng.normal(size=(n, 2)) for _ in range(2))
    negative = rng.normal(size=(count, 2)) * np.sqrt(np.array([1.4, 0.8]) ** 2 + noise**2)
    spread = np.eye(2) + w @ np.diag(np.array([1.4, 0.8]) ** 2 + noise**2) @ w.T
    za, zb = first @ w.T, second @ w.T
    quadratic = np.einsum("ni,ij,nj->n", za, np.linalg.inv(spread), za) / 2
    exact = np.mean(np.sum((za - zb) ** 2, axis=1) / 2 - quadratic)
    exact -= np.linalg.slogdet(spread)[1] / 2
    measured = info_nce(
        za, zb, negatives=negative @ w.T, score="euclidean", include_positive=False
    ) - np.log(count)
    weights = np.exp(-np.sum((za[:, None] - negative[:2000] @ w.T) ** 2, axis=2) / 2)
    error = np.std(np.mean(weights / weights.mean(1, keepdims=True), axis=0)) / np.sqrt(count)
    assert abs(measured - exact) < 4 * error + 1e-4  # the bias of the log is of order 1/count
    assert error < 0.01


def test_symmetric_cosine_over_all_views_ignores_duplicated_scale():
    za, zb = embeddings()
    scales = np.exp(np.random.default_rng(2).normal(size=(len(za), 1)))
    np.testing.assert_allclose(nt_xent(scales * za, zb / scales), nt_xent(za, zb), rtol=1e-12)


@pytest.mark.float32
@pytest.mark.parametrize("score", ["dot", "euclidean"])
def test_log_sum_exp_neither_overflows_nor_underflows(score):
    za, zb = (jnp.float32(1e4) * z.astype("float32") for z in embeddings())
    loss = jax.jit(jax.value_and_grad(lambda a, b: info_nce(a, b, score=score, temperature=0.01)))
    for first, second in [(za, zb), (za, -za), (za, za)]:
        value, gradient = loss(first, second)
        assert bool(jnp.isfinite(value))
        assert bool(jnp.all(jnp.isfinite(gradient)))


@pytest.mark.float32
def test_small_losses_keep_their_digits():
    # softplus(gap), not log(1 + e^gap): a gap of -30 is 9.4e-14, far below float32's epsilon
    z = jnp.sqrt(jnp.float32(30.0)) * jnp.eye(2, dtype="float32")
    np.testing.assert_allclose(jax.jit(info_nce)(z, z), np.exp(-30.0), rtol=1e-4)


def test_squared_vicreg_at_one_is_spectral_contrastive_plus_dim():
    za, zb = embeddings()
    pooled = spectral_contrastive(za, zb) + za.shape[1]
    np.testing.assert_allclose(vicreg_squared(za, zb, invariance=1.0), pooled, rtol=1e-13)
    for negatives in ("all", "others"):  # only the pooled convention makes it exact
        assert abs(spectral_contrastive(za, zb, negatives=negatives) + 3 - pooled) > 1e-3


def test_spectral_conventions_are_means_over_their_pairs():
    za, zb = embeddings()
    n = len(za)
    explicit = embeddings(4, n=5)[0]
    squares = (za @ zb.T) ** 2
    align = -2 * np.mean(np.sum(za * zb, axis=1))
    expected = {
        "all": squares.mean(),
        "others": (squares.sum() - np.trace(squares)) / (n * (n - 1)),
    }
    for negatives, repulsion in expected.items():
        measured = spectral_contrastive(za, zb, negatives=negatives)
        np.testing.assert_allclose(measured, align + repulsion, rtol=1e-12)
    measured = spectral_contrastive(za, zb, negatives=explicit)
    np.testing.assert_allclose(measured, align + np.mean((za @ explicit.T) ** 2), rtol=1e-12)


def test_spectral_quartic_is_twice_that_of_dot_info_nce():
    # same quadratic -2 tr C after doubling InfoNCE, then quartics tr(C_0 C_1) and tr(C_0 C_1)
    za, zb = map(centred, embeddings())

    def quartic(loss):
        def along(scale):
            return loss(scale * za, scale * zb)

        fourth = jax.jit(jax.grad(jax.grad(jax.grad(jax.grad(along)))))
        return fourth(0.0) / 24

    spectral = quartic(lambda a, b: spectral_contrastive(a, b, negatives="all"))
    np.testing.assert_allclose(spectral, 2 * quartic(info_nce), rtol=1e-9)


def test_alignment_exponent_and_uniform_scale_act_on_their_own_terms():
    rng = np.random.default_rng(0)
    za, zb = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in rng.normal(size=(2, 6, 3)))
    distances = np.linalg.norm(za - zb, axis=1)
    for exponent in (1.0, 2.0, 3.5):
        measured = align_uniform(za, zb, align_exponent=exponent, weight=0.0)
        np.testing.assert_allclose(measured, np.mean(distances**exponent), rtol=1e-12)
    rows, columns = np.triu_indices(6, 1)
    uniform = [
        np.log(np.mean(np.exp(-3 * np.sum((z[rows] - z[columns]) ** 2, axis=1)))) for z in (za, zb)
    ]
    measured = align_uniform(za, zb, uniform_scale=3.0, weight=2.0) - np.mean(distances**2)
    np.testing.assert_allclose(measured, sum(uniform), rtol=1e-12)


def test_aligned_pairs_have_zero_alignment_gradient_at_any_exponent():
    z = 2 * np.eye(3)  # normalised without rounding, so that the distances are exactly zero
    gradient = jax.jit(jax.grad(lambda za, a: align_uniform(za, z, align_exponent=a, weight=0.0)))
    for exponent in (1.0, 1.5, 2.0, 3.0):
        np.testing.assert_array_equal(gradient(z, exponent), 0.0)


def test_negatives_must_fit_the_embeddings():
    za, zb = embeddings()
    for loss in (info_nce, spectral_contrastive):
        with pytest.raises(InputError, match=r"negatives must be embeddings of shape \(count, 3\)"):
            loss(za, zb, negatives=np.ones((4, 2)))
        with pytest.raises(InputError, match="did you mean 'others'"):
            loss(za, zb, negatives="othr")


def test_one_pair_is_enough_with_explicit_negatives():
    z = np.array([[1.0, 0.0]])
    np.testing.assert_allclose(info_nce(z, z, negatives=-z), np.log1p(np.exp(-2.0)))
