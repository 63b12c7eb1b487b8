"""B, Sigma and the quartic of every loss, against Monte Carlo and the losses themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from landscape_oracles import TABLE, covariance, sampled_info_nce

from jssl import losses
from jssl.errors import InputError
from jssl.theory import landscape

RNG = np.random.default_rng(0)
A0 = covariance(RNG, np.array([1.0, 0.6, 0.3]))
C = covariance(RNG, np.array([0.9, 0.5, 0.2]))
WEIGHT = RNG.standard_normal((2, 3))


@pytest.mark.parametrize("placement", TABLE)
def test_the_gaussian_loss_is_the_monte_carlo_mean_of_info_nce(placement):
    rng = np.random.default_rng(1)
    draws = [sampled_info_nce(rng, WEIGHT, A0, C, placement) for _ in range(10)]
    error = np.std(draws, ddof=1) / np.sqrt(len(draws))
    exact = landscape.gaussian_info_nce(jnp.asarray(WEIGHT), landscape.views(A0, C, placement))
    assert error < 0.02
    # log-mean-exp over K negatives is low by var / 2K, below 2e-3 here
    np.testing.assert_allclose(np.mean(draws), exact, atol=5 * error + 2e-3)


@pytest.mark.parametrize("placement", TABLE)
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_form_is_the_gaussian_loss_to_fourth_order(placement, temperature):
    form = landscape.form(
        "info_nce_euclidean", A0, C, placement=placement, temperature=temperature, weight_decay=0.1
    )
    views = landscape.views(A0, C, placement)
    for size in (0.06, 0.03):
        w = jnp.asarray(size * WEIGHT)
        exact = landscape.gaussian_info_nce(w, views, temperature=temperature, weight_decay=0.1)
        quartic = landscape.energy(form, w) - landscape.energy(form._replace(own=0, cross=0), w)
        # the remainder is of order 6: below 10 % of the quartic at .06, 2.5 % at .03
        assert abs(exact - landscape.energy(form, w)) < 30 * size**2 / temperature * abs(quartic)


@pytest.mark.parametrize(("placement", "row"), TABLE.items())
def test_the_table_of_placements(placement, row):
    _, f, g, h = row
    form = landscape.form("info_nce_euclidean", A0, C, placement=placement, temperature=2.0)
    np.testing.assert_allclose(form.signal, (A0 - f * C) / 2, atol=1e-14)
    np.testing.assert_allclose(form.anchor, A0 + g * C, atol=1e-14)
    np.testing.assert_allclose(form.negative, A0 + h * C, atol=1e-14)
    assert (form.own, form.cross) == (1 / 16, 1 / 8)
    factor = landscape.augmentation_factor(placement)
    np.testing.assert_allclose(factor, f)


def test_alignment_and_negatives_and_no_negatives():
    aligned = landscape.form("info_nce_euclidean", A0, C, alignment=3.0)
    np.testing.assert_allclose(aligned.signal, A0 - 2 * C, atol=1e-14)
    few = landscape.form("info_nce_euclidean", A0, C, negatives=3)
    np.testing.assert_allclose(few.signal, 0.75 * A0, atol=1e-14)
    none = landscape.form("no_negatives", A0, C)
    np.testing.assert_allclose(none.signal, -C, atol=1e-14)
    assert none.own + none.cross == 0


def test_few_negatives_with_the_positive_weaken_the_pull():
    """Curvature of the actual loss at W = 0 is -2 K / (K + 1) Tr[W B W^T] on the sample."""
    rng = np.random.default_rng(2)
    n, count = 20, 3
    x = [jnp.asarray(rng.standard_normal((n, 3))) for _ in range(2)]
    negatives = jnp.asarray(rng.standard_normal((n, count, 3)))

    def loss(a):
        za, zb = (a * v @ WEIGHT.T for v in x)
        per = jax.vmap(
            lambda p, q, k: losses.get("info_nce", negatives=k, score="euclidean")(p[None], q[None])
        )
        return per(za, zb, a * negatives @ WEIGHT.T).mean()

    def half(difference):
        d = np.asarray(difference).reshape(-1, 3) @ WEIGHT.T
        return (d**2).sum(1).mean() / 2

    b = half(x[0][:, None] - negatives) - half(x[0] - x[1])
    np.testing.assert_allclose(
        jax.jit(jax.hessian(loss))(0.0), -2 * count / (count + 1) * b, rtol=1e-9
    )


def exact_pairs(rng, n=60):
    """Pairs whose sample moments are exactly A0 across views and A0 + C within."""
    z = np.linalg.qr(rng.standard_normal((n, 9)) - 0)[0][:, :9] * np.sqrt(n)
    ra, rc = np.linalg.cholesky(A0), np.linalg.cholesky(C)
    s, e, f = z[:, :3] @ ra.T, z[:, 3:6] @ rc.T, z[:, 6:] @ rc.T
    return jnp.asarray(s + e), jnp.asarray(s + f)


@pytest.mark.parametrize(
    ("name", "loss", "options"),
    [
        ("spectral_contrastive", losses.get("spectral_contrastive", negatives="all"), {}),
        ("barlow_twins_linearized", losses.get("barlow_twins_linearized"), {}),
        ("vicreg_squared", losses.get("vicreg_squared", invariance=0.4), {"invariance": 0.4}),
        (
            "simsiam_linear",
            lambda za, zb: -jnp.mean(jnp.sum(za * zb, 1)) + jnp.sum((WEIGHT @ WEIGHT.T) ** 2) / 2,
            {},
        ),
    ],
)
def test_exact_losses_equal_their_form_on_any_sample(name, loss, options):
    first, second = exact_pairs(np.random.default_rng(3))
    form = landscape.form(name, A0, C, **options)
    value = loss(first @ WEIGHT.T, second @ WEIGHT.T)
    np.testing.assert_allclose(landscape.energy(form, jnp.asarray(WEIGHT)), value, rtol=1e-10)


def test_the_dot_score_is_exact_for_gaussian_data():
    rng = np.random.default_rng(4)
    w = 0.4 * WEIGHT
    root, noise = np.linalg.cholesky(A0), np.linalg.cholesky(C)
    draws = []
    for _ in range(10):
        s, negative = (rng.standard_normal((1500, 3)) @ root.T for _ in range(2))
        za, zb, zn = (
            (x + rng.standard_normal((1500, 3)) @ noise.T) @ w.T for x in (s, s, negative)
        )
        draws.append(-(za * zb).sum(1).mean() + np.log(np.exp(za @ zn.T).mean(1)).mean())
    error = np.std(draws, ddof=1) / np.sqrt(len(draws))
    exact = landscape.energy(landscape.form("info_nce_dot", A0, C), jnp.asarray(w))
    np.testing.assert_allclose(np.mean(draws), exact, atol=4.5 * error + 1e-3)
    assert error < 0.01


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("info_nce", A0), {}, "unknown loss 'info_nce'; did you mean"),
        (("vicreg", A0), {}, "hinge"),
        (("info_nce_euclidean", np.triu(A0)), {}, "symmetric"),
        (("info_nce_euclidean", -A0), {}, "positive semi-definite"),
        (("info_nce_euclidean", A0, np.eye(2)), {}, "3 dimensions"),
        (("info_nce_euclidean", A0, -0.1), {}, "positive semi-definite"),
        (("info_nce_euclidean", A0, np.nan), {}, "not finite"),
        (("info_nce_euclidean", A0), {"placement": "clean"}, "unknown placement 'clean'"),
        (("info_nce_euclidean", A0), {"weight_decay": -0.1}, "weight_decay must be a number in"),
        (("info_nce_euclidean", A0), {"temperature": 0.0}, "temperature must be positive"),
        (("info_nce_euclidean", A0), {"negatives": 0}, "negatives"),
        (("info_nce_dot", A0), {"alignment": 2.0}, "alignment"),
        (("vicreg_squared", A0), {"placement": "clean-augmented-clean"}, "vicreg_squared"),
    ],
)
def test_bad_input_is_one_clear_line(arguments, options, message):
    with pytest.raises(InputError, match=message) as caught:
        landscape.from_loss(*arguments, dim=2, **options)
    assert "\n" not in str(caught.value)


def test_no_outputs_are_refused():
    with pytest.raises(InputError, match="dim must be a whole number"):
        landscape.from_loss("info_nce_dot", A0, dim=0)


@pytest.mark.float32
def test_known_covariances_are_not_rounded_to_float32_before_they_are_combined():
    """B = A0 - f C near the threshold, and the multiple P / Q of an augmentation of 1e-9."""
    given = {"placement": "clean-augmented-clean"}
    factor = float(landscape.augmentation_factor("clean-augmented-clean"))
    seen = landscape.form("info_nce_euclidean", [factor + 1e-9], 1.0, **given).signal
    assert seen.dtype == jnp.float32
    np.testing.assert_allclose(seen, 1e-9, rtol=1e-6)
    found = landscape.augmentation_thresholds(np.diag([1.0, 0.5]), np.diag([0.25, 1e-9]))
    np.testing.assert_allclose(found, [5e8, 4.0], rtol=1e-6)
    with pytest.raises(InputError, match=r"above 3\.4e\+38, the largest number of float32"):
        landscape.form("info_nce_dot", [1e300])


@pytest.mark.parametrize("bad", ["x", None, 1j, [[1.0], [1.0, 2.0]], {"a": 1}])
def test_what_is_no_covariance_is_refused(bad):
    for call in (lambda x: landscape.views(x, 0.1), lambda x: landscape.form("info_nce_dot", x)):
        with pytest.raises(InputError, match="real numbers"):
            call(bad)
