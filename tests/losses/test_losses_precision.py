"""Every registered loss where numbers go wrong: not finite, half precision, integers, any scale.

The value is the paper's definition in Python floats on the same numbers, or NaN, or `InputError`.
"""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from loss_definitions import REFERENCES

import jssl
from jssl import losses, models
from jssl.data import pairs
from jssl.errors import InputError
from jssl.losses.registry import LOSSES, get

pytestmark = pytest.mark.float32
EVERY = pytest.mark.parametrize("name", sorted(LOSSES))
N, DIM = 64, 8


@functools.cache
def integers():
    """Return whole numbers up to 127, exact in every dtype; their products overflow float16."""
    own, noise = np.random.default_rng(0).normal(size=(2, N, DIM))
    return tuple(np.clip(np.round(30 * z), -127, 127) for z in (own, own + 0.3 * noise))


@functools.cache
def expected(name):
    return REFERENCES[name](*integers())


@functools.cache
def compiled(name):
    return jax.jit(get(name))


@functools.cache
def gradient(name):
    return jax.jit(jax.grad(get(name), argnums=(0, 1)))


@EVERY
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("view", [0, 1])
def test_a_value_that_is_not_finite_makes_the_loss_not_finite(name, bad, view):
    views = [np.float32(z) for z in integers()]
    views[view] = views[view].copy()
    views[view][5, 1] = bad
    loss = compiled(name)(*views)
    assert not jnp.isfinite(loss)
    if np.isnan(bad):
        assert jnp.isnan(loss)


CHOICES = [
    (name, word, choice)
    for name, spec in LOSSES.items()
    for word, choices in spec.choices.items()
    for choice in choices
]


@pytest.mark.parametrize(("name", "word", "choice"), CHOICES)
def test_nan_makes_the_loss_nan_under_every_choice(name, word, choice):
    za, zb = (np.float32(z) for z in integers())
    za[5, 1] = np.nan
    assert jnp.isnan(get(name, **{word: choice})(za, zb))


@EVERY
def test_a_run_on_a_value_that_is_nan_is_marked_as_diverged_at_its_first_step(name):
    x = jax.random.normal(jax.random.key(0), (2, 16, 3)).at[0, 5, 1].set(jnp.nan)
    sampler = pairs.fixed(jssl.Pairs(*x))
    problem = jssl.Problem(sampler, models.linear(3, 2), losses.get(name), optax.sgd(0.1))
    run = jax.jit(jssl.run(problem, [0, 1]))(jax.random.key(0))
    assert run.first_bad_step == 0
    assert jnp.isnan(run.observables["loss"]).all()


@pytest.mark.parametrize("name", ["align_uniform", "decoupled_contrastive", "nt_xent", "vicreg"])
def test_a_run_whose_weights_overflow_stays_marked_and_its_loss_stays_nan(name):
    x = jax.random.normal(jax.random.key(0), (2, 16, 3))
    sampler = pairs.fixed(jssl.Pairs(*x))
    problem = jssl.Problem(sampler, models.linear(3, 2), losses.get(name), optax.sgd(1e38))
    run = jax.jit(jssl.run(problem, [0, 3, 9]))(jax.random.key(0))
    assert run.first_bad_step == 0  # weights above 1.8e19 count as divergence
    assert jnp.isnan(run.observables["loss"][1:]).all()


@EVERY
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8", "float32"])
def test_low_precision_embeddings_have_the_value_of_the_same_numbers_in_float64(name, dtype):
    loss = compiled(name)(*(jnp.asarray(z, dtype) for z in integers()))
    assert loss.dtype == "float32"
    np.testing.assert_allclose(loss, expected(name), rtol=2e-5, atol=2e-5)


@EVERY
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_gradients_come_back_in_half_precision_and_equal_those_of_float32(name, dtype):
    exact = gradient(name)(*(np.float32(z) for z in integers()))
    found = gradient(name)(*(jnp.asarray(z, dtype) for z in integers()))
    for half, single in zip(found, exact, strict=True):
        assert half.dtype == dtype
        info = jnp.finfo(dtype)
        np.testing.assert_allclose(
            np.float32(half), single, rtol=float(info.eps), atol=4 * float(info.smallest_subnormal)
        )


@EVERY
def test_views_of_different_dtypes_are_computed_in_the_wider(name):
    za, zb = integers()
    loss = compiled(name)(jnp.asarray(za, "float16"), jnp.asarray(zb, "bfloat16"))
    np.testing.assert_allclose(loss, expected(name), rtol=2e-5, atol=2e-5)


SCALES = [
    (name, scale)
    for name, spec in sorted(LOSSES.items())
    for scale in (1e-12, 1e12, 1e18)
    if scale < 1 or not spec.oscillates  # float32 does not hold the phase; bounded below instead
]


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_any_scale_of_float32_has_the_papers_value_or_one_that_float32_cannot_hold(name, scale):
    za, zb = (np.float32(scale / 30) * np.float32(z) for z in integers())
    reference = REFERENCES[name](*(z.astype(np.float64) for z in (za, zb)))
    with np.errstate(over="ignore"):
        reference = np.float32(reference)
    np.testing.assert_allclose(compiled(name)(za, zb), reference, rtol=2e-5, atol=1e-28)


@pytest.mark.parametrize("name", sorted(n for n, spec in LOSSES.items() if spec.oscillates))
@pytest.mark.parametrize("scale", [1e12, 1e18])
def test_a_loss_of_sines_stays_within_its_bounds_at_any_scale(name, scale):
    z = np.float32(scale / 30) * np.float32(integers()[0])
    loss = compiled(name)(z, z)  # equal views: only SIGReg, below n times the integral of 4 w(t)
    assert 0 <= loss < N * 4 * np.sqrt(2 * np.pi)


@EVERY
def test_one_pair_has_the_papers_value_or_is_refused(name):
    za, zb = (np.float32(z[:1]) for z in integers())
    loss = None
    with contextlib.suppress(InputError):
        loss = get(name)(za, zb)
    if loss is not None:
        np.testing.assert_allclose(loss, REFERENCES[name](za, zb), rtol=2e-5, atol=2e-5)


@EVERY
@pytest.mark.parametrize("scale", [1e-12, 0.1, 1.0])
def test_identical_samples_have_the_papers_value(name, scale):
    za, zb = (np.tile(np.float32(scale / 30 * z[:1]), (N, 1)) for z in integers())
    reference = REFERENCES[name](*(z.astype(np.float64) for z in (za, zb)))
    np.testing.assert_allclose(compiled(name)(za, zb), reference, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("scale", [1e3, 1e12, 1e17])
def test_identical_samples_of_any_size_have_no_correlation(scale):
    """Rounding of the batch mean is not read as variance: C = 0, so the loss is dim."""
    z = np.tile(np.float32(scale / 30 * integers()[0][:1]), (N, 1))
    assert get("barlow_twins")(z, z) == DIM


@EVERY
@pytest.mark.parametrize(
    "bad", [np.ones((4, 2), complex), np.full((4, 2), "a"), [[1.0, 2.0], [1.0]], np.ones((4, 0))]
)
def test_what_is_no_array_of_real_numbers_is_refused_in_one_line(name, bad):
    with pytest.raises(InputError) as caught:
        get(name)(bad, bad)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["info_nce", "linear_contrastive", "spectral_contrastive"])
def test_explicit_negatives_may_be_integers_or_half_precision_but_not_complex(name):
    za, zb = integers()
    loss = get(name, negatives=jnp.asarray(zb[::-1], "int8"))(za, zb)
    np.testing.assert_allclose(loss, get(name, negatives=zb[::-1])(za, zb))
    with pytest.raises(InputError, match="negatives must be an array of real numbers"):
        get(name, negatives=jnp.ones((N, DIM), complex))(za, zb)


def test_a_predictor_sees_half_precision_and_the_loss_is_float32():
    za, zb = (jnp.asarray(z, "bfloat16") for z in integers())
    seen = []

    def predictor(z):
        seen.append(z.dtype)
        return 2 * z

    loss = get("simsiam", predictor=predictor)(za, zb)
    assert seen == ["bfloat16", "bfloat16"]
    np.testing.assert_allclose(loss, expected("simsiam"), rtol=2e-5)


def test_the_learnability_objectives_sum_in_float32_and_pass_nan_on():
    z, weight = jnp.full((4096, 16), 3.0), jnp.full((2, 300), 30.0)
    half = losses.decayed_alignment(jnp.float16(z), jnp.float16(z), jnp.float16(weight), decay=0.5)
    assert half.dtype == "float32"
    assert half == -9 * 16 + 0.5 * 600 * 900
    logits, label = jnp.zeros(4).at[0].set(jnp.nan), jnp.array([1, -1, 1, -1], "int8")
    whole = functools.partial(losses.decayed_cross_entropy, head=weight[0], decay=0.5)
    assert jnp.isnan(whole(logits, label, weight))
    np.testing.assert_allclose(
        whole(jnp.zeros(4, "float16"), label, jnp.float16(weight)),
        np.log(2) + 0.5 * 900 * (600 + 300),
        rtol=1e-6,
    )
