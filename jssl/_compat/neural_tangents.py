"""What neural-tangents 0.6.5 needs on a current JAX, in one place.

Only the kernels of convolutional networks need neural-tangents. It is archived and does not import
on JAX >= 0.6. On JAX 0.10 to 0.12 it works after
five additions, made once, when a kernel is first used, and only where something is missing:

* the names `Jaxpr`, `JaxprEqn`, `ClosedJaxpr`, `Literal`, `Var`, `Primitive`, `jaxpr_as_fun` on
  `jax.core`, taken from `jax.extend.core`;
* a module `jax.util` with `safe_map` and `safe_zip`;
* a primitive `jax.interpreters.ad.zeros_like_p`;
* an empty module `neural_tangents.experimental`, all that needs TensorFlow;
* `scipy.linalg.eigvalsh` with the keyword `eigvals`, gone since SciPy 1.14, for
  `predict.max_learning_rate` alone: SciPy itself is left as it is.

Analytic kernels, Monte Carlo, batching, linearize, predict and the empirical NTK with
`implementation` 1 and 2 then run; `implementation` 0 and 3 do not.
"""

import functools
import importlib
import importlib.metadata
import importlib.util
import inspect
import math
import sys
import types
from collections.abc import Iterable
from typing import Any

import jax
import jax.extend.core
import numpy as np

from jssl.errors import InputError

INSTALL = "pip install --no-deps neural-tangents==0.6.5 frozendict"
"""The line that gives an environment the infinite-width kernels of convolutional networks."""

_CORE_NAMES = (
    "Jaxpr",
    "JaxprEqn",
    "ClosedJaxpr",
    "Literal",
    "Var",
    "Primitive",
    "jaxpr_as_fun",
)


@functools.cache
def load() -> Any:
    """Return the module `neural_tangents`, made to import on this JAX.

    Example:
        >>> usable, _ = status()
        >>> not usable or hasattr(load(), "stax")
        True

    Returns:
        The imported module; later calls return the same one and patch nothing.

    Raises:
        InputError: neural-tangents is not installed, or this JAX breaks it.
    """
    present, message = installed()
    if not present:
        raise InputError(message)
    try:
        _patch()
        module = importlib.import_module("neural_tangents")
        _patch_predict()
        return module
    except Exception as error:  # whatever a later JAX takes away
        raise InputError(_broken(error)) from error


def installed() -> tuple[bool, str]:
    """Return whether neural-tangents is installed, and one line about it; nothing is imported.

    Example:
        >>> present, message = installed()
        >>> message.startswith("neural-tangents" if present else "kernels of convolutional")
        True
    """
    for package in ("neural_tangents", "frozendict"):
        if _absent(package):
            line = f"{package}, which is not installed; run: {INSTALL}"
            return False, f"kernels of convolutional networks need {line}"
    version = importlib.metadata.version("neural-tangents")
    return True, f"neural-tangents {version} is installed; it is tested with JAX 0.10 to 0.12"


def status() -> tuple[bool, str]:
    """Return whether neural-tangents works here, and one line with the reason or what to do.

    One small kernel is computed and compared with its closed form, the arc-cosine kernel of two
    orthogonal inputs of unit length.

    Example:
        >>> usable, message = status()
        >>> isinstance(usable, bool) and message.startswith(("neural-tangents", "kernels of"))
        True
    """
    try:
        stax = load().stax
    except InputError as error:
        return False, str(error)
    try:
        *_, kernel = stax.serial(stax.Dense(1), stax.Relu(), stax.Dense(1))
        x = np.eye(2, dtype=np.float32)
        nngp = jax.jit(lambda x: kernel(x, None, "nngp"))  # one program instead of some twenty
        value = float(nngp(x)[0, 1])
    except Exception as error:  # whatever a later JAX takes away
        return False, _broken(error)
    if not math.isclose(value, 1 / (4 * math.pi), rel_tol=1e-5):
        return False, _broken(f"the arc-cosine kernel came out as {value:.6g}, not 1 / (4 pi)")
    return True, f"neural-tangents {load().__version__} works with JAX {jax.__version__}"


def _patch() -> None:
    """Add what is missing, and nothing else."""
    for name in _CORE_NAMES:
        if not hasattr(jax.core, name):
            setattr(jax.core, name, getattr(jax.extend.core, name))
    if _absent("jax.util"):
        util = types.ModuleType("jax.util", "safe_map and safe_zip, as they were.")
        util.safe_map = _safe_map  # type: ignore[attr-defined]
        util.safe_zip = _safe_zip  # type: ignore[attr-defined]
        sys.modules["jax.util"] = jax.util = util  # type: ignore[attr-defined]
    ad: Any = importlib.import_module("jax.interpreters.ad")
    if not hasattr(ad, "zeros_like_p"):
        ad.zeros_like_p = jax.extend.core.Primitive("zeros_like")
    if _absent("tensorflow") or _absent("tf2jax"):
        name = "neural_tangents.experimental"
        sys.modules.setdefault(name, types.ModuleType(name, "Empty: needs TensorFlow."))


def _patch_predict() -> None:
    """Give the module that holds `max_learning_rate` the keyword it asks of `eigvalsh`."""
    linalg: Any = importlib.import_module("scipy.linalg")
    if "eigvals" in inspect.signature(linalg.eigvalsh).parameters:
        return

    def eigvalsh(matrix: Any, eigvals: tuple[int, int] | None = None, **options: Any) -> Any:
        return linalg.eigvalsh(matrix, subset_by_index=eigvals, **options)

    predict: Any = importlib.import_module("neural_tangents._src.predict")
    predict.sp = types.SimpleNamespace(linalg=types.SimpleNamespace(eigvalsh=eigvalsh))


def _absent(module: str) -> bool:
    return module not in sys.modules and importlib.util.find_spec(module) is None


def _safe_zip(*iterables: Iterable[Any]) -> list[tuple[Any, ...]]:
    return list(zip(*map(list, iterables), strict=True))


def _safe_map(function: Any, *iterables: Iterable[Any]) -> list[Any]:
    return [function(*items) for items in _safe_zip(*iterables)]


def _broken(error: object) -> str:
    reason = " ".join(str(error).split())
    return (
        f"kernels of convolutional networks: neural-tangents does not work with JAX "
        f"{jax.__version__} ({reason}); install a JAX from 0.10 to 0.12, or go without them: those "
        "of dense networks do not need it"
    )
