"""Independent solvers for the flows of `jssl.theory.grassmann`, in NumPy and SciPy alone."""

import numpy as np
import scipy.integrate


def symmetric(rng, d):
    a = rng.normal(size=(d, d))
    return (a + a.T) / 2


def integrate(velocity, start, time):
    """Integrate a matrix equation to relative precision 1e-10."""
    solution = scipy.integrate.solve_ivp(
        lambda _, y: velocity(y.reshape(start.shape)).ravel(),
        (0, time),
        start.ravel(),
        method="DOP853",
        rtol=1e-11,
        atol=1e-13,
    )
    return solution.y[:, -1].reshape(start.shape)


def breaks(formula, exact, tolerance):
    """Return whether a closed form fails, overflows or errs by more than the tolerance."""
    try:
        return not np.abs(formula() - exact).max() < tolerance
    except (np.linalg.LinAlgError, RuntimeWarning):
        return True
