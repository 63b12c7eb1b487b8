"""A diagnosis does not depend on how many rows are read at a time."""

import numpy as np
import pytest

from jssl import diagnose
from jssl.data import chunks
from jssl.formulas import moments


def _rows(kind):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(600, 12)) * 0.8 ** np.arange(12)
    if kind == "one direction":
        z = rng.uniform(1, 9, size=(600, 1)) * (1 + 0.01 * z)
    if kind == "far from zero":
        z[:, 3] += 2_000
    if kind == "dead":
        z[:, 5] = 0
        z[::50] = 0
    if kind == "half":
        z = z.astype(np.float16)
    return z


@pytest.mark.parametrize("kind", ["plain", "one direction", "far from zero", "dead", "half"])
def test_a_diagnosis_is_the_same_in_many_strips_as_in_one(monkeypatch, kind):
    z = _rows(kind)
    labels = np.arange(600) % 4
    views = z + 0.1 * np.random.default_rng(1).normal(size=z.shape).astype(z.dtype)
    whole = diagnose(z, labels=labels, views=(z, views))
    for module in (chunks, moments):
        monkeypatch.setattr(module, "STRIP_BYTES", 8 * 12 * 7)
        monkeypatch.setattr(module, "CHUNK_BYTES", 8 * 12 * 50)
    parts = diagnose(z, labels=labels, views=(z, views))
    for name, value in whole.verdict._asdict().items():
        np.testing.assert_allclose(
            getattr(parts.verdict, name), value, rtol=1e-7, atol=1e-12, err_msg=name
        )
    assert parts.metrics.keys() == whole.metrics.keys()
    for name, metric in whole.metrics.items():
        np.testing.assert_allclose(
            parts.metrics[name].value, metric.value, rtol=1e-6, atol=1e-9, err_msg=name
        )
    assert parts.summary == whole.summary
    assert parts.caveats == whole.caveats
