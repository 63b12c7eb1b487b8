"""The claims on mean kernels of random networks can fail."""

import numpy as np
import pytest

from jssl.papers.width import random_kernels

NTK, NNGP, LINEAR = 2 * np.eye(3), np.eye(3), 3 * np.eye(3)


@pytest.mark.parametrize(("mean", "verdict"), [(1.0, "holds"), (0.97, "fails"), (1.03, "fails")])
def test_a_mean_kernel_that_is_off_by_the_inverse_width_fails(mean, verdict):
    values = mean + 0.07 * np.tile([-1.0, 1.0], 512)
    tangent = random_kernels._tangent_claim(values, NTK, NNGP)
    covariance = random_kernels._covariance_claim(values, NTK, NNGP, LINEAR)
    assert tangent.verdict == covariance.verdict == verdict


def test_too_few_networks_leave_the_mean_kernel_undecided():
    values = 1 + 0.07 * np.tile([-1.0, 1.0], 16)
    assert random_kernels._tangent_claim(values, NTK, NNGP).verdict == "undecided"
