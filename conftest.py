"""Tests and doctests compile hundreds of small programs: keep them, and do not optimise them."""

import importlib.metadata
import os
import pathlib

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the suite has a process a core already

if importlib.metadata.version("jaxlib").startswith("0.10."):
    # The emitter before it and one piece of machine code for a program: half the time to compile.
    # Later versions may have no such flags.
    flags = os.environ.get("XLA_FLAGS", "")
    cheap = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    os.environ["XLA_FLAGS"] = f"{flags} {cheap}".strip()

import jax
import pytest
import tyro  # noqa: F401  (it cannot be imported after a doctest has shown a list)

jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(__file__).parent / ".jax_cache"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
jax.config.update("jax_disable_most_optimizations", True)

MOST_MAPPINGS = 25_000
"""Memory mappings of a process above which compiled programs are dropped; Linux ends at 65,530."""


def mappings() -> int:
    """Return the number of memory mappings of this process, 0 where /proc does not tell it."""
    maps = pathlib.Path("/proc/self/maps")
    return maps.read_bytes().count(b"\n") if maps.exists() else 0


@pytest.fixture(autouse=True, scope="module")
def _programs():
    """Drop compiled programs after a module where their mappings come near the system's limit."""
    yield
    if mappings() > MOST_MAPPINGS:
        jax.clear_caches()
