"""What jssl does to make neural-tangents import, and what it says when it cannot."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jssl._compat import neural_tangents as compat
from jssl.errors import InputError


def test_loaded_module_computes_kernels_and_is_loaded_once():
    module = compat.load()
    assert module.__version__ == "0.6.5"
    assert module is compat.load()
    usable, message = compat.status()
    assert usable
    assert jax.__version__ in message
    assert "\n" not in message


def test_fresh_process_is_patched_only_when_a_kernel_is_asked_for_and_only_where_missing():
    code = """if True:
        import sys, types, warnings
        warnings.simplefilter("error")
        import jax, jax.extend.core, jax.interpreters.ad, jssl.models
        assert "neural_tangents" not in sys.modules and not hasattr(jax.core, "Jaxpr")
        own = sys.modules["jax.util"] = jax.util = types.ModuleType("jax.util")
        own.safe_map, own.safe_zip = map, zip
        sentinel = jax.core.Jaxpr = jax.extend.core.Jaxpr
        from jssl._compat import neural_tangents
        assert neural_tangents.status()[0]
        assert jax.util is own and jax.core.Jaxpr is sentinel
        assert jax.core.Var is jax.extend.core.Var
        warnings.simplefilter("ignore")  # neural-tangents takes jnp.size of a shape
        from neural_tangents import empirical_ntk_fn
        kernel = empirical_ntk_fn(lambda w, x: x @ w, implementation=2)
        x = jax.numpy.eye(2)
        assert (kernel(x, None, jax.numpy.ones((2, 1))) == x).all()
        print("fine")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "fine\n", done.stderr


def test_missing_package_gives_the_line_to_run(monkeypatch):
    monkeypatch.setattr(compat, "_absent", lambda name: name == "frozendict")
    monkeypatch.setattr(compat, "load", compat.load.__wrapped__)
    with pytest.raises(
        InputError, match="frozendict, which is not installed; run: pip install --no-deps"
    ):
        compat.load()
    usable, message = compat.status()
    assert not usable
    assert compat.INSTALL in message


def test_later_jax_that_breaks_it_is_named_in_one_line(monkeypatch):
    def fail():
        message = "module 'jax.core'\nhas no attribute 'ShapedArray'"
        raise AttributeError(message)

    monkeypatch.setattr(compat, "_patch", fail)
    monkeypatch.setattr(compat, "load", compat.load.__wrapped__)
    usable, message = compat.status()
    assert not usable
    assert "\n" not in message
    assert jax.__version__ in message
    assert "ShapedArray" in message
    assert "install a JAX from" in message


def test_wrong_numbers_are_not_usable(monkeypatch):
    module = compat.load()
    monkeypatch.setattr(module.stax, "Relu", module.stax.Erf)
    usable, message = compat.status()
    assert not usable
    assert "arc-cosine" in message


def test_safe_zip_and_map_refuse_unequal_lengths():
    assert compat._safe_map(lambda a, b: a + b, [1, 2], (3, 4)) == [4, 6]
    with pytest.raises(ValueError, match="shorter"):
        compat._safe_zip([1, 2], [1])


TIME, N, TESTS, OUTPUTS = 3.0, 6, 4, 2


@pytest.fixture(name="task")
def _task():
    """A regression, its kernels, and what its gradient flow comes to, by NumPy."""
    rng = np.random.default_rng(0)
    x, x_test = rng.normal(size=(N, 3)), rng.normal(size=(TESTS, 3))
    y, start, start_test = (rng.normal(size=(m, OUTPUTS)) for m in (N, N, TESTS))
    stax = compat.load().stax
    *_, kernel = stax.serial(stax.Dense(1, 1.0, 0.1), stax.Erf(), stax.Dense(1, 1.0, 0.1))
    train, cross = kernel(x, None, ("nngp", "ntk")), kernel(x_test, x, ("nngp", "ntk"))
    ntk, ntk_cross = np.asarray(train.ntk), np.asarray(cross.ntk)
    decay = scipy.linalg.expm(-TIME * ntk / y.size)
    learned = ntk_cross @ np.linalg.solve(ntk, np.eye(N) - decay)
    return {
        **{"x": x, "x_test": x_test, "y": y, "start": start, "start_test": start_test},
        **{"kernel": kernel, "train": train, "cross": cross, "learned": learned},
        "flow": (y + decay @ (start - y), start_test - learned @ (start - y)),
    }


def _square(z, y):
    return jnp.mean((z - y) ** 2) / 2


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_largest_learning_rate_is_that_of_the_largest_eigenvalue(task, momentum):
    ntk = task["train"].ntk
    rate = compat.load().predict.max_learning_rate(
        ntk, y_train_size=task["y"].size, momentum=momentum
    )
    top = np.linalg.eigvalsh(ntk)[-1]
    np.testing.assert_allclose(rate, 2 * (1 + momentum) * task["y"].size / top, rtol=1e-10)


def test_gradient_descent_of_the_mean_square_is_the_matrix_exponential(task):
    predict = compat.load().predict.gradient_descent_mse(task["train"].ntk, task["y"])
    for found, expected in zip(
        predict(TIME, task["start"], task["start_test"], task["cross"].ntk),
        task["flow"],
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_gradient_descent_of_any_loss_is_the_same_flow(task):
    predict = compat.load().predict.gradient_descent(_square, task["train"].ntk, task["y"])
    for found, expected in zip(
        predict(TIME, task["start"], task["start_test"], task["cross"].ntk),
        task["flow"],
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_inference_is_kernel_regression_with_its_posterior(task):
    own = task["kernel"](task["x_test"], None, "nngp")
    found = compat.load().predict.gp_inference(task["train"], task["y"])(
        get="nngp", k_test_train=task["cross"].nngp, k_test_test=own
    )
    gram, cross = (np.asarray(k.nngp) for k in (task["train"], task["cross"]))
    np.testing.assert_allclose(found.mean, cross @ np.linalg.solve(gram, task["y"]), atol=1e-10)
    posterior = own - cross @ np.linalg.solve(gram, cross.T)
    np.testing.assert_allclose(found.covariance, posterior, atol=1e-10)


@pytest.mark.parametrize("time", [TIME, None])
def test_ensemble_has_the_mean_of_the_flow_from_zero(task, time):
    predict = compat.load().predict.gradient_descent_mse_ensemble(
        task["kernel"], task["x"], task["y"]
    )
    found = predict(t=time, x_test=task["x_test"], get="ntk", compute_cov=True)
    weights = task["learned"]
    gram, cross = (np.asarray(k.nngp) for k in (task["train"], task["cross"]))
    if time is None:
        weights = np.asarray(task["cross"].ntk) @ np.linalg.inv(task["train"].ntk)
    np.testing.assert_allclose(found.mean, weights @ task["y"], atol=1e-10)
    own = np.asarray(task["kernel"](task["x_test"], None, "nngp"))
    spread = own + weights @ gram @ weights.T - weights @ cross.T - cross @ weights.T
    np.testing.assert_allclose(found.covariance, spread, atol=1e-10)


def test_every_function_of_predict_is_tried_here():
    functions = {name for name in dir(compat.load().predict) if name[0].islower()}
    assert functions == {
        "gp_inference",
        "gradient_descent",
        "gradient_descent_mse",
        "gradient_descent_mse_ensemble",
        "max_learning_rate",
    }
