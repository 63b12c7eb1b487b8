"""Forecasts from a Gram matrix that was computed elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jssl
from jssl.errors import InputError
from jssl.forecast.given_gram import GramEncoder
from jssl.kernels.empirical import empirical_ntk
from jssl.models import mlp

LOSS = {"loss": "barlow_twins_linearized", "dim": 2}


def noisy_pairs(n=24, seed=0):
    draws = np.random.default_rng(seed)
    x = draws.normal(size=(n, 5)) * np.array([2.0, 0.9, 0.7, 0.5, 0.4])
    return tuple(x + 0.1 * draws.normal(size=x.shape) for _ in range(2))


PAIRS = noisy_pairs()
VIEWS = jnp.concatenate([jnp.asarray(x) for x in PAIRS])
ROWS = len(VIEWS)


def features(params, x):
    return jnp.tanh(x @ jnp.linspace(-1, 1, 40).reshape(5, 8)) @ params.T


WEIGHT = jnp.asarray(np.random.default_rng(3).normal(size=(2, 8)))


def jacobian(apply, params):
    """Return all gradients (rows, dim, parameters), an independent way to the Gram matrix."""
    whole = jax.jacrev(lambda p: apply(p, VIEWS))(params)
    return np.concatenate(
        [np.asarray(x).reshape(ROWS, 2, -1) for x in jax.tree.leaves(whole)], axis=2
    )


def test_kernel_of_one_output_has_the_forecast_of_the_encoder():
    of_one = jacobian(features, WEIGHT)[:, 0]
    start = np.asarray(features(WEIGHT, VIEWS))
    expected = jssl.predict(PAIRS, **LOSS, apply=features, params=WEIGHT)
    found = jssl.predict(PAIRS, **LOSS, gram=of_one @ of_one.T, start=start)
    np.testing.assert_allclose(found.steps, expected.steps, rtol=1e-6)
    np.testing.assert_allclose(found.scale, expected.scale, rtol=1e-6)
    assert found.settings["kernel"] == "the given Gram matrix"


def test_all_blocks_have_the_forecast_of_the_encoder_and_one_kernel_has_not():
    model = mlp(5, 2, width=6, depth=2, activation="tanh")
    params = model.init(jax.random.key(1))
    gradients = jacobian(model.apply, params)
    gram = np.einsum("ikp,jlp->ijkl", gradients, gradients)
    np.testing.assert_allclose(
        gram, empirical_ntk(model.apply, params, VIEWS, outputs="full"), rtol=1e-6, atol=1e-9
    )
    given = LOSS | {"scale": 1e-8}  # so small that the second step starts from the leak
    start = np.asarray(model.apply(params, VIEWS))
    expected = jssl.predict(PAIRS, **given, apply=model.apply, params=params)
    found = jssl.predict(PAIRS, **given, gram=gram, start=start)
    of_start = expected.networks[0]
    np.testing.assert_allclose(found.steps, of_start, rtol=1e-4)  # of the integration
    mean = np.einsum("ijkk->ij", gram) / 2
    alone = jssl.predict(PAIRS, **given, gram=mean, start=start)
    np.testing.assert_allclose(alone.steps, found.limit_steps, rtol=1e-6)
    assert alone.steps[1] > 1.2 * found.steps[1]


def test_a_checkpoint_is_continued_from_its_gram_matrix():
    of_one = jacobian(features, WEIGHT)[:, 0]
    start = 1e-2 * np.asarray(features(WEIGHT, VIEWS))
    given = LOSS | {"step": 50, "learning_rate": 0.01}
    expected = jssl.predict(PAIRS, **given, apply=features, params=1e-2 * WEIGHT)
    found = jssl.predict(PAIRS, **given, gram=of_one @ of_one.T, start=start)
    np.testing.assert_allclose(found.steps, expected.steps, rtol=1e-4)


def test_random_start_is_that_of_standard_normal_parameters():
    """The mean logarithm of the steps over 40 starts, within 3.9 standard errors."""
    of_one = jacobian(features, WEIGHT)[:, 0]
    gram = of_one @ of_one.T
    given = LOSS | {"scale": 1e-4}
    draws = np.random.default_rng(8)
    starts = (np.asarray(features(draws.normal(size=(2, 8)), VIEWS)) for _ in range(40))
    trained = np.array([jssl.predict(PAIRS, **given, gram=gram, start=z).steps for z in starts])
    found = jssl.predict(PAIRS, **given, gram=gram)
    error = trained.std(0, ddof=1) / np.sqrt(40)
    assert (np.abs(trained.mean(0) - found.steps) < 3.9 * error).all()
    assert any("standard normal parameters" in line for line in found.caveats)


def test_random_starts_of_all_blocks_have_the_gram_matrix_as_covariance():
    model = mlp(5, 2, width=6, depth=2, activation="tanh")
    gradients = jacobian(model.apply, model.init(jax.random.key(1)))
    encoder = GramEncoder(np.einsum("ikp,jlp->ijkl", gradients, gradients), None)
    weights = np.random.default_rng(0).normal(size=(ROWS, 2)) / ROWS
    gram = encoder.mode_kernel(weights)
    starts = np.array([encoder.coordinates(weights, gram, i).ravel() for i in range(4000)])
    expected = gram.reshape(4, 4)
    error = np.sqrt((np.outer(*2 * [np.diag(expected)]) + expected**2) / 4000)
    assert (np.abs(starts.T @ starts / 4000 - expected) < 3.9 * error).all()
    seen = jssl.predict(PAIRS, **LOSS, gram=encoder.gram, nets=3)
    assert seen.networks.shape == (3, 2)
    assert len(set(seen.networks[:, 1])) == 3


EYE = np.eye(ROWS)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"gram": np.eye(3)}, r"gram must be \(48, 48\).* for these 24 pairs; got \(3, 3\)$"),
        ({"gram": np.eye(96)}, r"gram.reshape\(48, 2, 48, 2\).swapaxes\(1, 2\)"),
        ({"gram": np.triu(np.ones((48, 48)))}, "symmetric"),
        ({"gram": 0 * EYE}, "not zero"),
        ({"gram": -EYE}, "negative eigenvalues"),
        ({"gram": np.eye(48, dtype=bool)}, "floating point or integers"),
        ({"gram": EYE * np.nan}, "not finite"),
        ({"gram": EYE, "start": np.ones((48, 3))}, r"start must be \(48, 2\)"),
        ({"gram": EYE, "start": np.zeros((48, 2))}, "not all zero"),
        ({"start": np.ones((48, 2))}, "start belongs to gram="),
        ({"gram": EYE, "apply": features, "params": WEIGHT}, "pass gram= alone"),
        ({"gram": EYE, "width": 8}, "width belongs to kernel="),
        ({"gram": EYE, "step": 4}, "pass start= beside gram="),
        ({"gram": EYE, "simulate": 1}, "not a Gram matrix"),
        ({"gram": EYE, "weight_decay": 0.1}, "linear in its parameters"),
    ],
)
def test_bad_gram_matrices_are_one_line(changes, says):
    with pytest.raises(InputError, match=says) as error:
        jssl.predict(PAIRS, **LOSS, **changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("loss", ["barlow_twins", "jepa", "lejepa"])
def test_integer_pairs_are_the_same_numbers_as_floats(loss):
    draws = np.random.default_rng(0)
    shared = draws.integers(0, 200, (40, 6))
    pairs = [(shared + draws.integers(0, 56, shared.shape)).astype(np.uint8) for _ in range(2)]
    forecasts = (
        jssl.predict(views, loss=loss, dim=2)
        for views in (pairs, [view.astype(float) for view in pairs])
    )
    found, expected = (forecast.steps for forecast in forecasts)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [bool, complex, object])
def test_pairs_that_are_not_real_numbers_are_refused(dtype):
    pairs = np.random.default_rng(0).normal(size=(2, 40, 6)).astype(dtype)
    with pytest.raises(InputError):
        jssl.predict(tuple(pairs), loss="barlow_twins", dim=2)
