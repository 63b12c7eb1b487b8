"""A monitor has the moments of the rows it was fed, and raises where they show a collapse."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jssl
from jssl.monitor.libraries import joined, on_host

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(300, 6)) * np.array([2, 1.5, 1, 1, 1, 0.7]) + 1
FAR = ROWS + 100  # a mean that is large beside the spread
MAKERS = {
    "numpy": lambda z: z.astype(np.float32),
    "jax": lambda z: jnp.asarray(z, jnp.float32),
    "list": lambda z: z.astype(np.float32).tolist(),
    "half": lambda z: z.astype(np.float16),
}


def _batches(z, sizes=(64, 100, 1, 135)):
    return np.split(z, np.cumsum(sizes)[:-1])


def _fed(make, z=ROWS, **options):
    monitor = jssl.Monitor(**options)
    for batch in _batches(z):
        monitor.update(make(batch))
    return monitor


def _sums(monitor):
    return joined([part for _, part in monitor._parts], monitor._library)


@pytest.mark.float32
@pytest.mark.parametrize("kind", MAKERS)
def test_without_forgetting_the_ranks_are_those_of_diagnose_on_all_rows(kind):
    make = MAKERS[kind]
    metrics = _fed(make, half_life=np.inf).metrics()
    whole = np.concatenate([np.asarray(make(batch), np.float64) for batch in _batches(ROWS)])
    seen = jssl.diagnose(whole)
    for key, name in (
        ("effective_rank", "effective rank"),
        ("rankme", "RankMe"),
        ("alpha", "alpha"),
    ):
        assert metrics[key] == pytest.approx(seen.metrics[name].value, rel=1e-9)
    assert metrics["rows"] == pytest.approx(300)
    assert metrics["rank"] == 6
    assert metrics["collapse"] == 0


@pytest.mark.float32
@pytest.mark.parametrize("kind", ["numpy", "jax"])
def test_the_scatter_within_and_between_batches_adds_up_to_that_of_all_rows(kind):
    sums = _sums(_fed(MAKERS[kind], FAR, half_life=np.inf))
    whole = FAR.astype(np.float32).astype(np.float64)
    centred = whole - whole.mean(0)
    within = sum((b - b.mean(0)).T @ (b - b.mean(0)) for b in _batches(whole))
    size = np.abs(centred.T @ centred).max()
    np.testing.assert_allclose(sums.mean, whole.mean(0), rtol=1e-14)
    np.testing.assert_allclose(sums.within, within, atol=1e-12 * size)
    np.testing.assert_allclose(sums.within + sums.between, centred.T @ centred, atol=1e-12 * size)


def test_a_row_that_is_a_half_life_old_counts_half():
    sums = _sums(_fed(MAKERS["numpy"], half_life=100))
    whole = ROWS.astype(np.float32).astype(np.float64)
    ages = [235 + 1, 135 + 1, 135, 0]  # rows after each batch: batches fade as a whole
    weights = np.repeat(0.5 ** (np.array(ages) / 100), [64, 100, 1, 135])
    mean = np.average(whole, axis=0, weights=weights)
    scatter = (whole - mean).T @ (weights[:, None] * (whole - mean))
    assert sums.weight == pytest.approx(weights.sum())
    assert sums.squares == pytest.approx((weights**2).sum())
    np.testing.assert_allclose(sums.within + sums.between, scatter, rtol=1e-9, atol=1e-9)


def test_a_window_holds_its_last_rows_with_equal_weights_and_at_most_an_eighth_more():
    monitor = jssl.Monitor(window=80)
    z = np.arange(400.0)[:, None] * np.ones((1, 2))
    for batch in np.split(z, 100):
        monitor.update(batch)
    sums = _sums(monitor)
    held = round(float(sums.weight))
    assert 80 <= held <= 80 + 80 // 8 + 4
    np.testing.assert_allclose(sums.mean, z[-held:].mean(0))
    assert monitor.metrics()["rows"] == pytest.approx(held)


@pytest.mark.float32
@pytest.mark.parametrize("kind", ["numpy", "jax"])
def test_a_collapsed_encoder_that_still_moves_is_a_complete_collapse(kind):
    monitor = jssl.Monitor(half_life=np.inf)
    for step in range(50):
        centre = np.array([np.cos(step / 5), np.sin(step / 5), 0.2, 0.3])
        monitor.update(MAKERS[kind](centre + 1e-4 * RNG.normal(size=(32, 4))))
    metrics = monitor.metrics()
    assert metrics["drift"] > 0.99
    assert metrics["collapse"] == jssl.diagnostics.KINDS.index("complete")


def test_an_offset_of_99_5_per_cent_of_the_mean_square_is_a_collapse_in_training():
    """`diagnose` says so in its first sentence, and judges the rows around the point."""
    for size, found in ((0.05, "complete"), (0.2, "none")):
        rows = 1 + size * RNG.normal(size=(256, 16)) * 0.8 ** np.arange(16)
        monitor = jssl.Monitor(half_life=np.inf)
        monitor.update(rows)
        assert monitor.metrics()["collapse"] == jssl.diagnostics.KINDS.index(found)
        seen = jssl.diagnose(rows)
        assert int(seen.verdict.kind) == 0
        assert ("this is a complete collapse" in seen.summary[0]) == (found == "complete")


def test_a_healthy_encoder_whose_mean_moves_is_no_collapse():
    monitor = jssl.Monitor(half_life=np.inf)
    for step in range(50):
        monitor.update(RNG.normal(size=(32, 8)) + np.sin(step))
    assert monitor.metrics()["collapse"] == 0


def test_an_error_is_raised_after_patience_calls_in_a_row_and_carries_the_metrics():
    monitor = jssl.Monitor(raise_on="collapse", patience=2, name="projector", window=64)
    constant, healthy = np.ones((64, 3)), RNG.normal(size=(64, 3))
    for batch in (constant, healthy, constant):  # never twice in a row
        monitor.update(batch)
        assert "projector/effective_rank" in monitor.metrics()
    monitor.update(constant)
    with pytest.raises(
        jssl.CollapseError, match="of projector have collapsed, as 2 calls"
    ) as caught:
        monitor.metrics()
    assert "\n" not in str(caught.value)
    assert caught.value.metrics["projector/collapse"] == 2
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    np.testing.assert_equal(copy.metrics, caught.value.metrics)


@pytest.mark.parametrize(("raise_on", "raises"), [("collapse", False), ("dimensional", True)])
def test_a_dimensional_collapse_raises_only_where_asked(raise_on, raises):
    monitor = jssl.Monitor(raise_on=raise_on, patience=1)
    # By any definition: one direction of eight is left.
    monitor.update(RNG.normal(size=(64, 8)) * np.array([1, 0, 0, 0, 0, 0, 0, 0]))
    if not raises:
        assert monitor.metrics()["rank"] == 1
        return
    with pytest.raises(jssl.CollapseError, match=r"(?i)dimension"):
        monitor.metrics()


@pytest.mark.float32
@pytest.mark.parametrize("kind", ["numpy", "jax"])
def test_rows_that_are_not_finite_are_left_out_and_counted(kind):
    z = ROWS.astype(np.float32)
    z[[3, 70]] = np.nan
    z[299, 0] = np.inf
    metrics = _fed(MAKERS[kind], z, half_life=np.inf).metrics()
    kept = z[np.isfinite(z).all(1)].astype(np.float64)
    assert metrics["rows_not_finite"] == 3
    assert metrics["effective_rank"] == pytest.approx(
        jssl.diagnose(kept).metrics["effective rank"].value, rel=1e-9
    )


def test_a_diverged_run_has_no_ranks_and_no_collapse():
    monitor = jssl.Monitor(raise_on="dimensional", patience=1)
    monitor.update(np.full((8, 3), np.nan))
    metrics = monitor.metrics()
    assert metrics["rows_not_finite"] == 8
    assert np.isnan(metrics["effective_rank"])
    assert metrics["collapse"] == jssl.diagnostics.KINDS.index("undefined")
    assert set(metrics) == set(_fed(MAKERS["numpy"]).metrics())


@pytest.mark.float32
@pytest.mark.parametrize("kind", ["numpy", "jax"])
def test_alignment_and_uniformity_are_those_of_the_diagnostics(kind):
    first, noise = RNG.normal(size=(2, 200, 5))
    second = first + 0.3 * noise
    monitor = jssl.Monitor(half_life=np.inf)
    for a, b in zip(np.split(first, 4), np.split(second, 4), strict=True):
        monitor.update(MAKERS[kind](a), MAKERS[kind](b))
    metrics = monitor.metrics()
    alignment = jssl.diagnostics.alignment(first, second)
    assert metrics["alignment"] == pytest.approx(float(alignment.value), rel=1e-5)
    last = jssl.diagnostics.uniformity(first[150:])
    assert metrics["uniformity"] == pytest.approx(float(last.value), rel=1e-5)


def test_metrics_are_plain_floats_for_any_logger():
    metrics = _fed(MAKERS["numpy"], name="backbone").metrics()
    assert all(type(value) is float for value in metrics.values())
    assert all(key.startswith("backbone/") for key in metrics)


@pytest.mark.float32
def test_a_donated_or_overwritten_batch_does_no_harm():
    monitor = jssl.Monitor()
    z = RNG.normal(size=(64, 4)).astype(np.float32)
    monitor.update(z)
    before = monitor.metrics()
    z[:] = 0
    assert monitor.metrics() == before
    monitor.reset()
    given = jnp.asarray(RNG.normal(size=(64, 4)), jnp.float32)
    monitor.update(given)
    given.delete()
    assert np.isfinite(monitor.metrics()["uniformity"])


def test_an_update_inside_a_traced_program_is_refused():
    monitor = jssl.Monitor()
    with pytest.raises(jssl.InputError, match="inside a program that JAX traces"):
        jax.jit(lambda z: monitor.update(z))(np.ones((4, 2)))


@pytest.mark.parametrize(
    ("fed", "said"),
    [
        ((np.ones((2, 3, 4)),), "must be .n, dim.; got shape .2, 3, 4.: pool"),
        ((np.ones(3),), "must be .n, dim."),
        ((np.ones((0, 3)),), "must be .n, dim."),
        ((np.ones((4, 3), complex),), "must be real numbers"),
        ((np.array([["a", "b"]]),), "must be real numbers"),
        ((np.ones((4, 3)), np.ones((4, 2))), "views must be .4, 3. like the embeddings"),
        ((np.ones((4, 3)), jnp.ones((4, 3))), "arrays of one library; got numpy and jax"),
        ((np.ones((2, 5000)),), "at most 4,096 dimensions; got 5,000"),
    ],
)
def test_a_batch_that_cannot_be_used_is_refused_and_nothing_is_added(fed, said):
    monitor = jssl.Monitor()
    with pytest.raises(jssl.InputError, match=said):
        monitor.update(*fed)
    with pytest.raises(jssl.InputError, match="before the first batch"):
        monitor.metrics()


def test_another_dimension_or_library_needs_another_monitor():
    monitor = jssl.Monitor()
    monitor.update(np.ones((4, 3)))
    for batch in (np.ones((4, 2)), jnp.ones((4, 3))):
        with pytest.raises(jssl.InputError, match="one monitor for each layer, or call reset"):
            monitor.update(batch)
    monitor.reset()
    monitor.update(np.ones((4, 2)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"half_life": 0}, "half_life must be a number"),
        ({"window": 3}, "window must be a whole number of at least 8"),
        ({"half_life": 9, "window": 9}, "exclude each other"),
        ({"raise_on": "colapse"}, "did you mean 'collapse'"),
        ({"patience": 0}, "patience must be a whole number"),
    ],
)
def test_options_out_of_range_are_refused(options, said):
    with pytest.raises(jssl.InputError, match=said):
        jssl.Monitor(**options)


@pytest.mark.float32
def test_nothing_of_a_device_is_copied_to_the_host_by_update(monkeypatch):
    monitor = jssl.Monitor()
    batch = jnp.asarray(ROWS, jnp.float32)
    monitor.update(batch, batch)
    with jax.transfer_guard_device_to_host("disallow"):
        monitor.update(batch, batch)
    assert isinstance(monitor._parts[-1][1].within, jax.Array)
    assert on_host(monitor._parts[-1][1].within, "jax").dtype == np.float64
