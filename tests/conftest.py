"""Every test runs in double precision unless it is marked `float32`; compiled programs are kept."""

import pathlib

import jax
import pytest

from jssl.precision import float64

_CACHE = pathlib.Path(__file__).parent.parent / ".jax_cache"
jax.config.update("jax_compilation_cache_dir", str(_CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


@pytest.fixture(autouse=True)
def _precision(request):
    if request.node.get_closest_marker("float32"):
        yield
        return
    with float64():
        yield
