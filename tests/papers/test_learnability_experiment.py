"""The draws are exact in law, the runs are plain gradient descent, and claims can fail."""

import jax
import jax.extend.random
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import jssl
from jssl.data.toy import four_cells
from jssl.errors import InputError
from jssl.losses import decayed_alignment, decayed_cross_entropy
from jssl.models import one_layer
from jssl.optim import gradient_descent
from jssl.papers import Settings
from jssl.papers.learnability import comparison, noise, simulate, statistical, variants
from jssl.papers.learnability.reduced import cholesky, orthonormal_rows, reduced_gradient
from jssl.papers.learnability.seeds import Design, Numbers, draw
from jssl.theory.learnability import expected_loss
from jssl.types import Rival


def keys(count, seed=0):
    return jax.random.split(jax.random.key(seed), count)


@pytest.mark.parametrize(("activation", "correlation"), [("sigmoid", 0.0), ("tanh", -0.7)])
def test_reduced_draw_has_the_law_of_the_plain_draw(activation, correlation):
    """Means, all covariances and cubes of the gradient's entries, over 60,000 draws of each."""
    rng = np.random.default_rng(0)
    x, weight = jnp.asarray(rng.normal(size=(6, 4))), jnp.asarray(rng.normal(size=(2, 4)))
    noise, decay, draws = 0.5, 0.02, 60_000
    model = one_layer(4, 2, activation=activation)
    act = lambda h: model.apply({"weight": jnp.eye(2)}, h.T).T  # noqa: E731

    def reduced(key):
        options = {"noise": noise, "decay": decay, "correlation": correlation}
        return reduced_gradient(weight, x, key, activation=act, **options)

    def plain(key):
        e, f = jax.random.normal(key, (2, *x.shape))
        f = correlation * e + (1 - correlation**2) ** 0.5 * f

        def loss(weight):
            za, zb = (model.apply({"weight": weight}, x + noise * view) for view in (e, f))
            return decayed_alignment(za, zb, weight, decay=decay)

        return jax.grad(loss)(weight)

    ours, theirs = (
        np.asarray(jax.jit(jax.vmap(one))(keys(draws, seed))).reshape(draws, -1)
        for one, seed in ((reduced, 1), (plain, 2))
    )
    scale = theirs.std(0)
    ours, theirs = (ours - theirs.mean(0)) / scale, (theirs - theirs.mean(0)) / scale
    i, j = np.triu_indices(8)
    for moment in (lambda g: g, lambda g: g[:, i] * g[:, j], lambda g: g**3):
        a, b = moment(ours), moment(theirs)
        error = ((a.var(0) + b.var(0)) / draws) ** 0.5
        assert (np.abs(a.mean(0) - b.mean(0)) / error).max() < 4.8


def test_reduced_draw_without_noise_is_the_gradient():
    rng = np.random.default_rng(1)
    x, weight = jnp.asarray(rng.normal(size=(6, 4))), jnp.asarray(rng.normal(size=(2, 4)))
    ours = reduced_gradient(weight, x, jax.random.key(0), noise=0.0, decay=0.1)

    def loss(weight):
        z = jax.nn.sigmoid(x @ weight.T)
        return decayed_alignment(z, z, weight, decay=0.1)

    np.testing.assert_allclose(ours, jax.grad(loss)(weight), rtol=1e-9, atol=1e-12)


def test_factors_hold_for_dependent_rows_and_singular_moments():
    weight = jnp.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 1.0, 1.0]])
    lower, basis = orthonormal_rows(weight)
    np.testing.assert_allclose(lower @ basis, weight, atol=1e-14)
    np.testing.assert_allclose(basis @ basis.T, jnp.diag(jnp.array([1.0, 0.0, 1.0])), atol=1e-14)
    gram = weight @ weight.T
    np.testing.assert_allclose(cholesky(gram) @ cholesky(gram).T, gram, atol=1e-7)


def test_factors_of_many_rows_are_those_of_numpy():
    weight = np.random.default_rng(0).normal(size=(12, 15))
    lower, basis = orthonormal_rows(jnp.asarray(weight))
    np.testing.assert_allclose(lower @ basis, weight, atol=1e-13)
    np.testing.assert_allclose(basis @ basis.T, np.eye(12), atol=1e-13)
    gram = weight @ weight.T
    np.testing.assert_allclose(cholesky(jnp.asarray(gram)), np.linalg.cholesky(gram), atol=1e-12)


def test_drawn_samples_have_the_law_of_the_four_cells():
    seeds = draw(keys(400), Design(), Numbers(tau=3.0, noise=0.2))
    x, _, _ = four_cells(jax.random.key(9), 40_000, 10, 3.0, 0.2)
    flat, s = seeds.x.reshape(-1, 10), seeds.label.ravel()
    q = flat[:, 1] > 1.5
    for j in range(10):
        assert scipy.stats.ks_2samp(flat[:, j], x[:, j], method="asymp").pvalue > 1e-4
    assert scipy.stats.chisquare(np.bincount(s + 1 + q)).pvalue > 1e-4
    np.testing.assert_allclose(np.cov(flat.T), np.cov(x.T), atol=0.06)
    assert np.array_equal(np.sign(flat[:, 0]), s)
    assert abs((s * (2 * q - 1)).mean()) < 4 / 200


@pytest.mark.parametrize("start", ["near", "sign"])
def test_starts_have_the_published_signs_and_ranges(start):
    weight = draw(keys(300), Design(rows=3, start=start), Numbers()).weight
    assert (np.sign(weight[:, :, 0]) == [1, -1, 1]).all()
    assert (weight[:, :, 1] > 0).all()
    if start == "near":
        assert ((np.abs(weight[..., 0]) > 3.1) & (np.abs(weight[..., 0]) < 3.9)).all()
        assert ((weight[..., 1] * 7 > 8.5) & (weight[..., 1] * 7 < 9)).all()
    assert abs(weight[..., 2:].var() - 1) < 0.06


def test_a_seed_does_not_depend_on_those_beside_it():
    together = simulate.self_supervised(keys(5), [0, 30], dtype=jnp.float64)
    alone = simulate.self_supervised(keys(5)[3:4], [0, 30], dtype=jnp.float64)
    np.testing.assert_allclose(together[3:4], alone, rtol=1e-9)
    other = simulate.self_supervised(keys(5), [0, 30], replica=1, dtype=jnp.float64)
    assert np.array_equal(other[:, 0], together[:, 0])
    assert np.abs(other[:, 1] - together[:, 1]).min() > 0


def test_averaged_run_is_descent_on_the_averaged_loss():
    design, numbers = Design(20, 4, step="mean"), Numbers(noise=0.2, view_noise=0.3)
    ends = simulate.self_supervised(keys(2), [0, 3], design, numbers, dtype=jnp.float64)
    seeds = draw(keys(2), design, numbers)
    for x, weight, end in zip(seeds.x, seeds.weight, ends, strict=True):
        np.testing.assert_allclose(end[0], weight)
        for _ in range(3):
            slopes = [
                jax.grad(expected_loss)(jnp.asarray(w), jnp.asarray(x), noise=0.3, decay=1 / 800)
                for w in weight
            ]
            weight = weight - 0.1 * np.array(slopes)
        np.testing.assert_allclose(end[1], weight, rtol=1e-10)


def test_linear_run_is_descent_on_alignment_with_a_quartic_penalty():
    design, numbers = Design(20, 4, step="linear"), Numbers(view_noise=0.0)
    ends = simulate.self_supervised(keys(2), [3], design, numbers, dtype=jnp.float64)
    seeds = draw(keys(2), design, numbers)
    for x, weight, end in zip(seeds.x, seeds.weight, ends, strict=True):

        def loss(w, x=x):
            return -((x @ w.T) ** 2).sum() / len(x) + ((w @ w.T) ** 2).sum() / 2

        for _ in range(3):
            weight = weight - 0.1 * jax.grad(loss)(jnp.asarray(weight))
        np.testing.assert_allclose(end[0], weight, rtol=1e-9)


def test_every_point_kept_is_where_a_run_to_it_ends():
    both = simulate.self_supervised(keys(2), [20, 50], dtype=jnp.float64)
    for index, point in enumerate((20, 50)):
        alone = simulate.self_supervised(keys(2), [point], dtype=jnp.float64)
        np.testing.assert_allclose(both[:, index], alone[:, 0], rtol=1e-9)


def test_supervised_run_moves_rows_first_and_then_the_head():
    ends = simulate.supervised(keys(2), [0, 4], Design(12, 3), dtype=jnp.float64)
    seeds = draw(keys(2), Design(12, 3), Numbers())
    for x, label, weight, head, end in zip(*seeds, ends, strict=True):
        weight, head = jnp.asarray(weight), jnp.asarray(head)

        def loss(weight, head, x=x, label=label):
            logits = jax.nn.sigmoid(x @ weight.T) @ head
            return decayed_cross_entropy(logits, label, weight, head, decay=1 / 800)

        for _ in range(4):
            weight = weight - 0.1 * jax.grad(loss)(weight, head)
            head = head - 0.1 * jax.grad(loss, 1)(weight, head)
        np.testing.assert_allclose(end[1], weight, rtol=1e-10)


def test_noisy_runs_agree_with_the_same_problem_stated_to_jssl_run():
    """Means over view noise of the end of 40 steps: reduced draws against plain `jssl.run`."""
    design, numbers = Design(8, 3, start="near"), Numbers(noise=0.1, view_noise=0.6)
    count, steps, seed = 3000, 40, keys(1)
    start = draw(seed, design, numbers)
    x = jnp.asarray(start.x[0])
    model = one_layer(3)

    def pairs(key):
        first, second = x + 0.6 * jax.random.normal(key, (2, *x.shape))
        return jssl.Pairs(first, second)

    def objective(params, pairs, key):
        za, zb = (model.apply(params, view) for view in pairs[:2])
        return decayed_alignment(za, zb, params["weight"], decay=1 / 800)

    problem = jssl.Problem(
        pairs,
        model._replace(init=lambda key: {"weight": jnp.asarray(start.weight[0])}),
        None,
        gradient_descent(0.1),
        objective,
    )
    see = lambda params, pairs: {"weight": params["weight"]}  # noqa: E731
    run = jax.jit(jax.vmap(jssl.run(problem, [steps], see)))
    theirs = np.asarray(run(keys(count, 3)).observables["weight"])[:, 0]
    step = simulate.step_gradient(design, numbers, x)

    def reduced(key):
        def one(k, w):
            return w - 0.1 * step(w, jax.random.fold_in(key, k))

        return jax.lax.fori_loop(0, steps, one, jnp.asarray(start.weight[0]))

    ours = np.asarray(jax.jit(jax.vmap(reduced))(keys(count, 4)))
    error = ((ours.var(0) + theirs.var(0)) / count) ** 0.5
    assert (np.abs(ours.mean(0) - theirs.mean(0)) / error).max() < 4.5
    assert np.abs(ours.var(0) / theirs.var(0) - 1).max() < 4.5 * (4 / count) ** 0.5


@pytest.mark.parametrize(
    ("design", "numbers", "message"),
    [
        (Design(samples=3), Numbers(), "there are 4 cells"),
        (Design(samples=10, data="balanced"), Numbers(), "divisible by 4"),
        (Design(dim=1), Numbers(), "dim must be"),
        (Design(rows=11), Numbers(), "rows must be"),
        (Design(correlation=2.0), Numbers(), "correlation must be"),
        (Design(), Numbers(noise=-0.1), "noise must be"),
        (Design(), Numbers(decay=np.array([0.1, -1])), "decay must be"),
    ],
)
def test_bad_input_is_one_clear_line(design, numbers, message):
    with pytest.raises(InputError, match=message):
        simulate.self_supervised(keys(2), [0, 1], design, numbers)
    with pytest.raises(InputError, match="points must be"):
        simulate.self_supervised(keys(2), [3, 1])


def test_stochastic_verdicts_hold_at_their_level_and_can_fail():
    rng = np.random.default_rng(0)
    far, other = [Rival("far", 50.0)], {"far": 50 + rng.normal(size=60)}
    held = [
        (
            statistical.same_mean(
                "m", "", rng.normal(size=50), rng.normal(size=20), rivals=far
            ).verdict,
            statistical.same_share("s", "", 0.3, rng.random(100) < 0.3, rivals=far).verdict,
            statistical.same_distribution(
                "d", "", rng.normal(size=99), rng.normal(size=60), rivals=other
            ).verdict,
        )
        for _ in range(300)
    ]
    assert {verdict for verdicts in held for verdict in verdicts} == {"holds"}
    assert statistical.same_mean("m", "", 0.0, rng.normal(2, 1, 20)).verdict == "fails"
    assert statistical.same_share("s", "", 0.3, rng.random(100) < 0.7).verdict == "fails"
    assert (
        statistical.same_distribution(
            "d", "", rng.normal(size=500), 9 + rng.normal(size=60)
        ).verdict
        == "fails"
    )


def test_rivals_that_a_sample_cannot_tell_apart_leave_a_claim_undecided():
    rng = np.random.default_rng(1)
    near, other = [Rival("near", 0.2)], {"near": 0.2 + rng.normal(size=60)}
    first, second = rng.normal(size=50), rng.normal(size=20)
    assert statistical.same_mean("m", "", first, second, rivals=near).verdict == "undecided"
    assert (
        statistical.same_distribution("d", "", first, second, rivals=other).verdict == "undecided"
    )


def failing(part):
    return {claim.name.removeprefix("learnability/") for claim in part.claims if not claim.passed}


@pytest.mark.slow
def test_swapping_the_losses_makes_claims_fail(monkeypatch):
    def swapped(keys, points, *setting, replica=0):
        return simulate.supervised(keys, points, *setting)

    monkeypatch.setattr(comparison, "self_supervised", swapped)
    assert "self-supervised-against-supervised" in failing(comparison.comparison(Settings()))


@pytest.mark.slow
def test_dropping_the_view_noise_makes_claims_fail(monkeypatch):
    def quiet(keys, points, design, *numbers, replica=0):
        still = (numbers or (Numbers(),))[0]._replace(view_noise=0.0)
        return simulate.self_supervised(keys, points, design, still, replica=replica)

    monkeypatch.setattr(comparison, "self_supervised", quiet)
    monkeypatch.setattr(noise, "self_supervised", quiet)
    assert failing(comparison.comparison(Settings())) == {"view-noise"}
    with np.errstate(all="ignore"):  # the logarithm of a shift that is exactly 0
        assert failing(noise.noise(Settings())) >= {"view-shift-0.1", "mirrored-views"}


@pytest.mark.slow
def test_relu_and_the_odd_activations_end_where_theory_says():
    assert failing(variants.activations(Settings(seed=3))) == set()
