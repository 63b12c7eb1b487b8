"""Tests and doctests compile hundreds of small programs: keep them, and do not optimise them."""

import os
import pathlib

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the suite has a process a core already

import jax

jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(__file__).parent / ".jax_cache"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
jax.config.update("jax_disable_most_optimizations", True)
