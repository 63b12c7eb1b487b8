r"""Whether a quartic landscape has a minimum, and if not, along which direction it decreases.

    L(W) = -Tr[W B W^T] + own Tr[Kn^2] + cross Tr[Ka Kn],   B after subtraction of the weight decay

The quartic term is 0 for weights whose rows lie in the kernel of cov(negative), or also in that of
cov(anchor) if own = 0.
For a unit vector v there and W = k e v^T, L = -k^2 v^T B v decreases without bound if v^T B v > 0.
Where v^T B v = 0 but both covariances vanish along v, so that the quartic term does not depend on
k, and B v is not 0, W = e (a u + k v)^T with u along B v has L = const - 2 a k u^T B v, which also
decreases. With one covariance, or two that commute, these are all cases without a minimum.
"""

import numpy as np

from jssl.errors import InputError
from jssl.theory.landscape.dictionary import Form, decayed_signal

_SHOWN = 6


def require_minimum(form: Form) -> None:
    """Raise an error if the loss is unbounded below along one of these directions.

    Example:
        >>> from jssl.theory.landscape.dictionary import general_form
        >>> require_minimum(general_form([[1.0, 0.5], [0.5, 0.0]], [1.0, 0.0]))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: the loss has no minimum: it decreases without bound along the input
        direction (0, 1), where the quartic vanishes and B couples it to other directions; add
        weight decay or augmentation there

    Args:
        form: from `jssl.theory.landscape.form`; its values must be known, so not under jit.

    Raises:
        InputError: with the direction, in the coordinates of the inputs.
    """
    signal, anchor, negative = (
        np.asarray(x) for x in (decayed_signal(form), form.anchor, form.negative)
    )
    own, cross = float(form.own), float(form.cross)
    floor = len(signal) * np.finfo(signal.dtype).eps * np.linalg.norm(signal)
    flat = [negative, anchor] if own == 0 else [negative]
    if own == cross == 0:
        flat = [np.zeros_like(signal)]
    for spread in flat:
        basis = _vanishing(spread)
        values, axes = np.linalg.eigh(basis.T @ signal @ basis)
        if len(values) and values[-1] > floor:
            raise _falls(basis @ axes[:, -1], "where the quartic vanishes and B is positive")
    basis = _vanishing(anchor / _size(anchor) + negative / _size(negative))
    if own == cross == 0:
        return  # every direction is flat: what is not positive has no coupling to fall along
    values, axes = np.linalg.eigh(basis.T @ signal @ basis)
    level = basis @ axes[:, np.abs(values) <= floor]
    if level.shape[1]:
        _, sizes, rows = np.linalg.svd(signal @ level, full_matrices=False)
        # Inputs are symmetric up to 1e3 eps (`known_symmetric`), so that much may be rounding.
        if sizes[0] > max(floor, 1e3 * np.finfo(signal.dtype).eps * np.linalg.norm(signal)):
            raise _falls(
                level @ rows[0], "where the quartic vanishes and B couples it to other directions"
            )


def _vanishing(spread: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis (d, k) of the directions in which a covariance vanishes."""
    variances, vectors = np.linalg.eigh(spread)
    kept = variances > len(variances) * np.finfo(variances.dtype).eps * max(variances[-1], 0)
    return vectors[:, ~kept]


def _size(spread: np.ndarray) -> float:
    return float(np.linalg.norm(spread)) or 1.0


def _falls(direction: np.ndarray, where: str) -> InputError:
    """Return the error, with the direction's largest entries, the first of them positive."""
    order = np.argsort(-np.abs(direction), stable=True)
    signed = direction * np.sign(direction[order[0]])
    if len(signed) <= _SHOWN:
        named = f"({', '.join(f'{x + 0.0:.3g}' for x in signed.round(3))})"
    else:
        largest = [i for i in order[:_SHOWN] if abs(signed[i]) > 1e-3]
        named = "with entries " + ", ".join(f"{signed[i]:.3g} at {i}" for i in largest)
    message = (
        f"the loss has no minimum: it decreases without bound along the input direction {named}, "
        f"{where}; add weight decay or augmentation there"
    )
    return InputError(message)
