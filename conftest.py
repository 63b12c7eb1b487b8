"""Tests and doctests compile hundreds of small programs: keep them, and do not optimise them."""

import importlib.metadata
import os
import pathlib

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the suite has a process a core already

if importlib.metadata.version("jaxlib").startswith("0.10."):
    # The emitter before it compiles in two thirds of the time; later versions have no such flag.
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_use_fusion_emitters=false".strip()

import jax

jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(__file__).parent / ".jax_cache"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
jax.config.update("jax_disable_most_optimizations", True)
