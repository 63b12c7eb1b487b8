"""A monitor of PyTorch tensors: a plain loop and Lightning, with the real libraries."""

# ruff: noqa: ARG002 (Lightning decides which arguments the methods have)

import pickle

import numpy as np
import pytest

import jssl

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
ROWS = (RNG.normal(size=(300, 6)) * np.array([3, 2, 1, 1, 0.5, 0.1]) + 100).astype(np.float32)
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


def _fed(batches, **options):
    monitor = jssl.Monitor(**options)
    for batch in batches:
        monitor.update(batch, batch + 1)
    return monitor.metrics()


def test_a_tensor_has_the_metrics_of_the_same_numpy_array():
    batches = np.split(ROWS, 3)
    ours = _fed([torch.tensor(batch, requires_grad=True) for batch in batches])
    theirs = _fed(batches)
    assert ours == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int8])
def test_narrow_tensors_are_summed_in_float64(dtype):
    batch = torch.tensor(RNG.normal(size=(200, 4)) * 9).to(dtype)
    assert _fed([batch])["rank"] == 4
    np.testing.assert_allclose(
        _fed([batch])["effective_rank"], _fed([batch.double()])["effective_rank"], rtol=1e-9
    )


def test_sums_stay_tensors_without_a_graph_and_autocast_does_not_round_them():
    monitor = jssl.Monitor()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for batch in np.split(ROWS, 3):
            monitor.update(torch.tensor(batch, requires_grad=True))
    (_, sums) = monitor._parts[-1]
    assert all(isinstance(value, torch.Tensor) and not value.requires_grad for value in sums)
    assert sums.within.dtype == torch.float64
    of_views = ("alignment", "views_not_finite")
    expected = {k: v for k, v in _fed(np.split(ROWS, 3)).items() if k not in of_views}
    assert monitor.metrics() == pytest.approx(expected, rel=1e-9)


def test_a_batch_of_inference_mode_and_one_of_training_are_added():
    monitor = jssl.Monitor(half_life=np.inf)
    with torch.inference_mode():
        monitor.update(torch.tensor(ROWS[:100]))
    monitor.update(torch.tensor(ROWS[100:], requires_grad=True))
    assert monitor.metrics()["rows"] == pytest.approx(300)


def _fake():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        return torch.ones(4, 3)


def _nested():
    return torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)], layout=torch.jagged)


@pytest.mark.filterwarnings("ignore")  # PyTorch's own on these kinds
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: torch.empty(4, 3, device="meta"), "the meta device, which has no values; run"),
        (lambda: torch.eye(4).to_sparse(), r"layout sparse_coo; pass embeddings.to_dense\(\)"),
        (lambda: torch.eye(4).to_sparse_csr(), r"layout sparse_csr; pass embeddings.to_dense\(\)"),
        (lambda: torch.ones(4, 3).to_mkldnn(), r"layout mkldnn; pass embeddings.to_dense\(\)"),
        (
            lambda: torch.quantize_per_tensor(torch.ones(4, 3), 0.1, 0, torch.qint8),
            r"quantised tensor; pass embeddings.dequantize\(\)",
        ),
        (_nested, "nested tensor; pass one row for each sample"),
        (_fake, "FakeTensor without values of its own here; use it outside"),
    ],
)
def test_a_tensor_without_dense_values_is_one_line_and_nothing_is_added(make, said):
    monitor = jssl.Monitor()
    with pytest.raises(jssl.InputError, match=said) as caught:
        monitor.update(make())
    assert "\n" not in str(caught.value)
    with pytest.raises(jssl.InputError, match="views is a"):
        monitor.update(torch.ones(4, 3), make())
    with pytest.raises(jssl.InputError, match="before the first batch"):
        monitor.metrics()


def test_an_update_inside_a_transformation_of_torch_is_refused():
    monitor = jssl.Monitor()

    def program(z):
        monitor.update(z)
        return z.sum()

    with pytest.raises(jssl.InputError, match=r"outside torch\.func"):
        torch.vmap(program)(torch.ones(2, 4, 3))
    with pytest.raises(jssl.InputError, match=r"outside torch\.func"):
        torch.func.grad(program)(torch.ones(4, 3))


@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_rows_of_float64_whose_powers_do_not_fit_are_counted(size):
    monitor = jssl.Monitor(raise_on="dimensional", patience=1)
    monitor.update(torch.tensor(ROWS).double() * size)
    metrics = monitor.metrics()
    assert (metrics["rows"], metrics["rows_not_finite"]) == (0, 300)
    assert metrics["collapse"] == jssl.diagnostics.KINDS.index("undefined")


def _encoder():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 6, bias=True)
    )


def _views(count=64):
    x = torch.randn(count, 8)
    return x + 0.1 * torch.randn(count, 8), x + 0.1 * torch.randn(count, 8)


def _collapsing(za, zb):
    """SimSiam without its stop-gradient and predictor, on the embeddings themselves."""
    return (za - zb).pow(2).mean() + 0.1 * (za.pow(2).mean() - 1).pow(2) + za.var(0).sum()


def _spread_out(za, zb):
    """VICReg."""
    variance = sum(torch.relu(1 - (z.var(0) + 1e-4).sqrt()).mean() for z in (za, zb))
    return (za - zb).pow(2).mean() + 5 * variance


@pytest.mark.parametrize(("loss", "collapses"), [(_collapsing, True), (_spread_out, False)])
def test_a_plain_loop_stops_where_the_encoder_collapses_and_only_there(loss, collapses):
    encoder, logged = _encoder(), []
    optimiser = torch.optim.Adam(encoder.parameters(), 1e-2)
    monitor = jssl.Monitor(half_life=64, raise_on="collapse", patience=2)

    def train():
        for step in range(600):
            za, zb = map(encoder, _views())
            optimiser.zero_grad()
            loss(za, zb).backward()
            optimiser.step()
            monitor.update(za, zb)
            if step % 20 == 19:
                logged.append(monitor.metrics())

    if collapses:
        with pytest.raises(jssl.CollapseError, match="complete collapse"):
            train()
        assert 1 <= len(logged) < 29
    else:
        train()
        assert len(logged) == 30
        assert logged[-1]["effective_rank"] > 4


@pytest.fixture
def lightning():
    return pytest.importorskip("lightning.pytorch")


def _module(lightning, loss):
    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.encoder, self.projector = _encoder(), torch.nn.Linear(6, 6)

        def training_step(self, batch, batch_idx):
            za, zb = (self.projector(self.encoder(x)) for x in _views(len(batch)))
            return {"loss": loss(za, zb), "z": za.detach(), "other": zb.detach()}

        def validation_step(self, batch, batch_idx):
            self.projector(self.encoder(batch))

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 1e-2)

    return Module()


def _fit(lightning, callback, loss, tmp_path, epochs=20):
    batches = torch.utils.data.DataLoader(torch.randn(320, 8), batch_size=64)
    module = _module(lightning, loss)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        callbacks=[callback],
        logger=lightning.loggers.CSVLogger(tmp_path),
        log_every_n_steps=1,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    trainer.fit(module, batches, batches)
    return trainer, module


@pytest.mark.filterwarnings("ignore")  # Lightning's own advice on workers
def test_the_callback_logs_the_metrics_of_a_layer_with_the_modules_logger(lightning, tmp_path):
    from jssl.monitor.lightning import MonitorCallback

    monitor = jssl.Monitor(name="projector")
    callback = MonitorCallback(monitor, layer="projector", every=10)
    assert isinstance(callback, lightning.Callback)
    assert pickle.loads(pickle.dumps(MonitorCallback)) is MonitorCallback
    trainer, module = _fit(lightning, callback, _spread_out, tmp_path)
    metrics = monitor.metrics()
    assert {"projector/effective_rank", "projector/alignment"} <= set(trainer.callback_metrics)
    rows = (tmp_path / "lightning_logs" / "version_0" / "metrics.csv").read_text().splitlines()
    assert len(rows) == 1 + 20 * 5 // 10
    assert metrics["projector/alignment"] < 0.5
    assert not module.projector._forward_hooks


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("where", [{"layer": "projector"}, {"key": "z", "views": "other"}])
def test_the_callback_ends_the_fit_of_a_collapsed_encoder(lightning, tmp_path, where):
    from jssl.monitor.lightning import MonitorCallback

    monitor = jssl.Monitor(half_life=64, raise_on="collapse", patience=2)
    callback = MonitorCallback(monitor, every=10, **where)
    with pytest.raises(jssl.CollapseError, match="complete collapse"):
        _fit(lightning, callback, _collapsing, tmp_path, epochs=200)
    assert callback._hook is None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"layer": "head"}, "no layer 'head'; it has: encoder, encoder.0"),
        ({"key": "embedding"}, "returned keys loss, z, other; return a dictionary"),
    ],
)
def test_a_layer_or_key_that_is_not_there_is_one_line(lightning, tmp_path, where, said):
    from jssl.monitor.lightning import MonitorCallback

    with pytest.raises(jssl.InputError, match=said):
        _fit(lightning, MonitorCallback(jssl.Monitor(), **where), _spread_out, tmp_path)


def test_the_place_of_the_embeddings_must_be_given_once(lightning):
    from jssl.monitor.lightning import MonitorCallback

    for options in ({}, {"layer": "a", "key": "z"}, {"layer": "a", "views": "z"}):
        with pytest.raises(jssl.InputError, match="layer="):
            MonitorCallback(jssl.Monitor(), **options)
