"""What jssl does to make neural-tangents import, and what it says when it cannot."""

import subprocess
import sys

import jax
import pytest

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
    with pytest.raises(InputError, match="frozendict, not installed; run: pip install --no-deps"):
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
