"""Every test runs in double precision unless it is marked `float32`."""

import pytest

from jssl.precision import float64


@pytest.fixture(autouse=True)
def _precision(request):
    if request.node.get_closest_marker("float32"):
        yield
        return
    with float64():
        yield
