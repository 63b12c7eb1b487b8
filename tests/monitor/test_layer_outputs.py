"""What the Lightning callback takes of the outputs of a layer; Lightning itself is not needed."""

import sys
from collections import OrderedDict
from types import SimpleNamespace

import pytest

import jssl
from jssl.monitor import lightning

torch = pytest.importorskip("torch")

Z = torch.arange(24.0).reshape(8, 3)
AFTER = torch.ones(8, 5)


@pytest.fixture
def callback(monkeypatch):
    """Return a callback for a layer, of a Lightning that has nothing but the base class."""
    monkeypatch.setitem(sys.modules, "lightning.pytorch", SimpleNamespace(Callback=object))
    lightning._callback_class.cache_clear()
    yield lightning.MonitorCallback(jssl.Monitor(), layer="layer")
    lightning._callback_class.cache_clear()


def _step(callback, returned):
    """Run one training step of a module whose layer returns something."""

    class Layer(torch.nn.Module):
        def forward(self):
            return returned

    module = torch.nn.Module()
    module.layer = Layer()
    callback.on_fit_start(None, module)
    try:
        module.layer()
        callback.on_train_batch_end(None, module, None, None, 0)
    finally:
        callback.on_fit_end(None, module)


@pytest.mark.parametrize(
    "returned",
    [
        Z,
        (Z, AFTER),
        [Z, None],
        (None, (Z, AFTER)),
        OrderedDict(last_hidden_state=Z, pooler_output=AFTER),
        {"attention": None, "hidden": [Z]},
    ],
)
def test_the_first_tensor_that_a_layer_returns_is_the_embedding(callback, returned):
    _step(callback, returned)
    expected = jssl.Monitor()
    expected.update(Z)
    assert callback.monitor.metrics() == pytest.approx(expected.metrics(), nan_ok=True)


@pytest.mark.parametrize("returned", [None, (), {"loss": 1.0}, SimpleNamespace(z=Z), "text"])
def test_a_layer_that_returns_no_tensor_is_one_line_that_names_it(callback, returned):
    kind = type(returned).__name__
    with pytest.raises(
        jssl.InputError, match=f"layer 'layer' returned no tensor but a {kind}; name another one"
    ):
        _step(callback, returned)
