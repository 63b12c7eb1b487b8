"""SIGReg, BHEP and LeJEPA against other libraries, the integrals they stand for, and limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from jssl.errors import InputError
from jssl.losses.isotropy import bhep, lejepa, sigreg, sliced_objective
from jssl.losses.slices import directions
from jssl.types import Pairs


def waves():
    """Return views and directions that can be written down in one line each."""
    n, k = np.arange(12)[:, None], np.arange(4)[None]
    za = 1.5 * np.sin(1 + n * (k + 1))
    return za, za + 0.3 * np.cos(2 * n + k), np.cos(1 + np.arange(5)[:, None] * (k + 2))


def samples(n=20, dim=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, dim)) * [1.3, 0.4, 1.0][:dim]


def integral(y, limit=np.inf):
    """Return n times the Epps-Pulley integral of one slice, by adaptive quadrature."""

    def gap(t):
        return abs(np.exp(1j * t * y).mean() - np.exp(-(t**2) / 2)) ** 2 * np.exp(-(t**2) / 2)

    return len(y) * quad(gap, -limit, limit, epsabs=1e-13, epsrel=1e-12, limit=500)[0]


def test_sigreg_and_its_gradient_are_those_of_lightly():
    """Values of lightly 1.6.0 with torch 2.13.0, its directions replaced; its knots are float32."""
    za, zb, a = waves()
    value, gradient = jax.value_and_grad(lambda z: sigreg(z, zb, slices=a))(za)
    np.testing.assert_allclose(value, 0.8688772720816743, rtol=1e-7)
    theirs = [-0.10541540957711862, 0.02806883857810288, -0.029212981457866237]
    np.testing.assert_allclose(gradient[3, :3], theirs, rtol=1e-6)


def test_lejepa_is_that_of_lightly_where_every_view_is_global_and_not_otherwise():
    za, zb, a = waves()
    ours = lejepa(za, zb, trade_off=0.05, slices=a)
    np.testing.assert_allclose(ours, 0.05432904277022135, rtol=1e-7)
    assert abs(ours - 0.06521422193635898) > 0.01  # lightly with one global and one local view


@pytest.mark.parametrize(("grid", "tolerance"), [("exact", 1e-10), ("paper", 1e-4)])
def test_grids_of_the_whole_line_are_the_integral(grid, tolerance):
    z, a = samples(), np.eye(3)
    expected = np.mean([integral(z[:, k]) for k in range(3)])
    np.testing.assert_allclose(sigreg(z, z, slices=a, grid=grid), expected, rtol=tolerance)


def test_the_grid_of_the_code_is_the_truncated_integral_and_not_the_whole():
    z, a = samples(), np.eye(3)
    truncated = np.mean([integral(z[:, k], 3.0) for k in range(3)])
    whole = np.mean([integral(z[:, k]) for k in range(3)])
    found = float(sigreg(z, z, slices=a, grid="code"))
    assert abs(found / truncated - 1) < 1e-3
    assert abs(found - truncated) < abs(found - whole) / 10


def test_the_grids_differ_at_collapse_by_the_stated_shares():
    z = np.zeros((10, 2))
    code, paper, exact = (
        float(sigreg(z, z, slices=4, grid=g)) / 10 for g in ("code", "paper", "exact")
    )
    np.testing.assert_allclose([code, exact], [0.402048, 0.408923], atol=1e-6)
    assert abs(paper - exact) < 3e-6


@pytest.mark.parametrize("grid", ["code", "paper", "exact"])
def test_unbiased_sigreg_leaves_out_pairs_of_a_sample_with_itself(grid):
    z, n = samples(), 20
    a = np.eye(3)
    biased, unbiased = (sigreg(z, z, slices=a, grid=grid, unbiased=u) for u in (False, True))
    # with P the mean over all pairs and w the weight's integral, P becomes (n P - w) / (n - 1)
    pairs = float((unbiased - biased) / n) * (n - 1) + _pairs(np.zeros((1, 1)), grid)
    np.testing.assert_allclose(pairs, _pairs(z, grid), rtol=1e-3)


def _pairs(z, grid):
    """The mean over pairs of the integral of exp(i t (y_i - y_j)) w(t)."""
    apart = (z[:, None] - z[None]).transpose(2, 0, 1)
    limit = 3.0 if grid == "code" else 8.0
    t = np.linspace(-limit, limit, 4001)
    wave = np.exp(-(t**2) / 2)[:, None, None, None] * np.cos(t[:, None, None, None] * apart)
    return float(np.trapezoid(wave.mean((1, 2, 3)), t))


@pytest.mark.parametrize("grid", ["code", "paper", "exact"])
def test_unbiased_statistics_do_not_depend_on_n_and_biased_ones_have_a_floor(grid):
    z = np.random.default_rng(3).normal(size=(800, 8, 2))
    a = directions(jax.random.key(2), 2, 16)

    def mean(unbiased):
        loss = jax.vmap(lambda z: sigreg(z, z, slices=a, grid=grid, unbiased=unbiased))
        values = np.asarray(jax.jit(loss)(z))
        return values.mean(), 4 * values.std() / len(values) ** 0.5

    floor = {"code": 1.052464, "paper": 1.059426, "exact": 1.059426}[grid]
    biased, error = mean(False)
    assert abs(biased - floor) < error
    unbiased, error = mean(True)
    assert abs(unbiased) < error


def test_a_mean_over_fresh_directions_is_unbiased_for_many():
    z = samples()
    many = float(sigreg(z, z, slices=20_000))
    keys = jax.random.split(jax.random.key(4), 400)
    few = np.asarray(jax.jit(jax.vmap(lambda k: sigreg(z, z, key=k, slices=4)))(keys))
    assert abs(few.mean() - many) < 4 * few.std() * (1 / 400 + 1 / 5000) ** 0.5


@pytest.mark.parametrize("grid", ["code", "exact"])
def test_the_value_does_not_depend_on_the_blocks(grid, monkeypatch):
    z = samples()
    usual = jax.value_and_grad(lambda z: sigreg(z, z, slices=37, grid=grid))(z)
    monkeypatch.setattr(
        "jssl.losses.slices.BLOCK_ELEMENTS", 20 * 5 * (20 if grid == "exact" else 1)
    )
    blocked = jax.value_and_grad(lambda z: sigreg(z, z, slices=37, grid=grid))(z)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), usual, blocked)


def test_memory_does_not_grow_with_the_number_of_slices():
    def temporary(slices):
        both = jax.jit(jax.value_and_grad(lambda z: sigreg(z, z, slices=slices)))
        a = jax.ShapeDtypeStruct((2048, 16), "float32")
        analysis = both.lower(a).compile().memory_analysis()
        return analysis.temp_size_in_bytes - 2 * 4 * 16 * slices  # the directions themselves

    assert temporary(1024) < 1.5 * temporary(128)
    assert temporary(1024) < 2048 * 1024 * 4  # one array of samples x slices


@pytest.mark.parametrize("grid", ["code", "paper", "exact"])
def test_second_derivatives_are_those_of_the_gradient(grid):
    z, a = samples(5), np.eye(3)
    way = np.random.default_rng(1).normal(size=z.shape)
    slope = jax.grad(lambda z: sigreg(z, z, slices=a, grid=grid))
    _, along = jax.jvp(slope, (z,), (way,))
    seen = (slope(z + 1e-5 * way) - slope(z - 1e-5 * way)) / 2e-5
    np.testing.assert_allclose(along, seen, atol=1e-7)


@pytest.mark.parametrize("width", [0.3, 1.0])
def test_bhep_is_the_mean_over_random_frequencies(width):
    z = samples()
    t = np.random.default_rng(5).normal(size=(200_000, 3)) * width**0.5
    seen = np.exp(1j * t @ z.T).mean(1)
    gaps = np.abs(seen - np.exp(-(t**2).sum(1) / 2)) ** 2
    error = 4 * gaps.std() / len(gaps) ** 0.5
    assert abs(bhep(z, z, width=width) - gaps.mean()) < error


def test_bhep_on_a_line_is_one_slice_in_another_unit():
    z = samples(dim=3)[:, :1]
    slice_ = sigreg(z, z, slices=np.ones((1, 1)), grid="exact")
    np.testing.assert_allclose(
        bhep(z, z, width=1.0), slice_ / (20 * np.sqrt(2 * np.pi)), rtol=1e-10
    )


def test_the_default_width_of_bhep_is_two_over_the_dimension():
    z = samples()
    assert bhep(z, z) == bhep(z, z, width=2 / 3)
    assert bhep(z.tolist(), z.tolist()) == bhep(z, z)


def test_the_slope_of_one_slice_stays_below_its_bound_and_comes_near():
    """The bound is n |dV/dy_i| <= 2 exp(-1/2) (1 + 1/2) at width 1."""
    bound = 3 * np.exp(-0.5)
    y = np.concatenate([np.full(300, 2.0), np.full(1, 3.0)])[:, None]
    found = []
    for shift in np.linspace(-4, 4, 33):
        moved = y + shift
        found.append(np.abs(jax.grad(lambda z: bhep(z, z, width=1.0))(moved)).max() * len(y))
    assert max(found) < bound
    assert max(found) > 0.5 * bound


def test_a_collapsed_batch_gets_one_gradient_for_all_rows_and_none_at_zero():
    z = np.tile([[0.4, -0.2]], (8, 1))
    for loss in (lambda z: sigreg(z, z, slices=8), lambda z: bhep(z, z)):
        gradient = jax.grad(loss)(z)
        np.testing.assert_allclose(gradient, np.tile(gradient[:1], (8, 1)), rtol=1e-9)
        assert np.abs(gradient).max() > 1e-3
        np.testing.assert_allclose(jax.grad(loss)(0 * z), 0, atol=1e-14)


def test_the_objective_draws_new_directions_in_each_step_and_repeats_them_for_a_key():
    x = samples()
    objective = sliced_objective(lambda w, x: x @ w.T, slices=4)
    values = [objective(jnp.eye(3), Pairs(x, x), jax.random.key(k)) for k in (0, 1, 0)]
    assert values[0] == values[2] != values[1]


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        (0, "slices must be a whole number >= 1; got 0"),
        (-3, "slices must be a whole number >= 1"),
        (2.5, "slices must be a whole number >= 1"),
        (np.ones((4, 2)), "slices must be embeddings of shape"),
    ],
)
def test_wrong_slices_are_refused(slices, message):
    z = samples()
    for loss in (sigreg, lejepa):
        with pytest.raises(InputError, match=message):
            loss(z, z, slices=slices)


def test_a_batch_of_one_no_dimension_and_a_width_of_zero_are_refused():
    for loss in (sigreg, lejepa, bhep):
        with pytest.raises(InputError, match="at least 2 pairs; got 1"):
            loss(np.ones((1, 2)), np.ones((1, 2)))
        with pytest.raises(InputError, match=r"two \(n, dim\) embeddings"):
            loss(np.ones((4, 0)), np.ones((4, 0)))
    with pytest.raises(InputError, match="width must be positive; got 0"):
        bhep(samples(), samples(), width=0)


def test_the_number_of_slices_may_be_an_integer_of_numpy():
    z = jnp.asarray(samples())
    assert sigreg(z, z, slices=np.int64(4)) == sigreg(z, z, slices=4)


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        (np.zeros((0, 3)), "at least one direction"),
        (10**15, "take fewer slices"),
        (2.5, "whole number >= 1; got 2.5"),
    ],
)
def test_no_direction_or_more_than_memory_holds_is_refused(slices, message):
    z = jnp.asarray(samples())
    with pytest.raises(InputError, match=message):
        sigreg(z, z, slices=slices)


@pytest.mark.float32
@pytest.mark.parametrize("scale", [1e17, 1e19, 1e30, 1e38])
def test_bhep_of_embeddings_far_apart_is_that_of_no_kernel(scale):
    """Rows far from each other and from 0 leave 1/n + D0, and nothing pulls on them."""
    draws = np.random.default_rng(0)
    z = jnp.asarray(draws.uniform(-1, 1, (10, 4)), jnp.float32)
    value, slope = jax.value_and_grad(lambda x: bhep(scale * x, scale * x))(z)
    np.testing.assert_allclose(value, 1 / 10 + (1 + 2 * 0.5) ** -2, rtol=1e-6)
    assert not slope.any()


@pytest.mark.float32
def test_bhep_beside_an_outlier_is_that_of_the_other_rows():
    z = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
    z[0] *= 1e20
    others = z[1:].astype(float)
    gaps = np.sum((others[:, None] - others) ** 2, 2)
    own = np.exp(-np.sum(others**2, 1) / 6) / 1.5**2
    expected = (np.exp(-gaps / 4).sum() + 1) / 100 - 2 * own.sum() / 10 + 2.0**-2
    value, slope = jax.value_and_grad(lambda x: bhep(x, x))(jnp.asarray(z))
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert jnp.abs(slope).max() < 0.1
