"""Formulas of the diagnostics, written once for `jax.numpy` and for `numpy`; no module imports JAX.

The last argument `xp` is the array namespace, and arrays are of that library. `jssl.diagnostics`
checks its arguments and compiles these functions with JAX; `jssl.diagnosis`, whose arrays are
checked NumPy arrays on the host, calls them with NumPy, without the cost of importing JAX.
"""
