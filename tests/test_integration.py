"""An integration ends with a complete and finite path, or with one line."""

import math
import warnings

import numpy as np
import pytest

from jssl.errors import InputError
from jssl.integration import integrate, too_far_apart
from jssl.theory import isotropy


def test_a_path_is_that_of_the_equation():
    times = np.linspace(0, 3, 7)
    solved = integrate(lambda t, y: -y, (0, 3), [2.0], t_eval=times, rtol=1e-9, atol=1e-12)
    assert np.allclose(solved.y[0], 2 * np.exp(-times), rtol=1e-7)


@pytest.mark.parametrize("method", ["LSODA", "DOP853", "RK45"])
def test_a_path_that_leaves_every_range_is_one_line(method):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError) as refused:
            integrate(lambda t, y: y**2, (0.0, 2.0), [1.0], method=method)
    assert str(refused.value) == str(too_far_apart())


def test_a_path_that_does_not_end_is_given_up():
    calls = []

    def turning(t, y):
        calls.append(t)
        return np.array([y[1], -y[0]])

    with pytest.raises(InputError, match="does not end"):
        integrate(turning, (0.0, math.inf), [1.0, 0.0], evaluations=500)
    assert len(calls) == 500


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"variances": [1e300]}, "does not end"),
        ({"variances": [math.inf]}, "variances must be finite"),
        ({"variances": 1.0}, r"variances must be an array \(K,\)"),
        ({"start": [-1.0]}, "every start must be positive"),
        ({"noises": [math.nan]}, "noises from 0"),
    ],
)
def test_a_trajectory_with_numbers_out_of_range_is_one_line(changed, message):
    given = {"start": [1e-4], "variances": [1.0], "noises": [0.0], "strength": 2.0} | changed
    with pytest.raises(InputError, match=message):
        isotropy.trajectory([1.0], **given)


@pytest.mark.parametrize("name", ["value", "slope", "parts"])
@pytest.mark.parametrize("wrong", [-1.0, math.inf, math.nan])
def test_an_eigenvalue_that_no_covariance_has_is_refused(name, wrong):
    with pytest.raises(InputError, match="eigenvalues must be finite and >= 0"):
        getattr(isotropy, name)([1.0, wrong])
