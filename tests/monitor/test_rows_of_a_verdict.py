"""Which rows a monitor counts, and how many a verdict needs."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import jssl
from jssl import precision
from jssl.formulas.verdict import CONSTANT
from jssl.monitor.measures import LEAST

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(64, 4))
UNDEFINED, COMPLETE = map(jssl.diagnostics.KINDS.index, ("undefined", "complete"))


def _metrics(*batches, **options):
    monitor = jssl.Monitor(raise_on="dimensional", patience=1, **options)
    for batch in batches:
        monitor.update(batch)
    return monitor.metrics()


def test_one_row_has_no_ranks_and_no_collapse():
    metrics = _metrics(ROWS[:1])
    assert metrics["rows"] == 1
    assert metrics["collapse"] == UNDEFINED
    for key in ("effective_rank", "rankme", "rank", "spread", "leading_share", "drift"):
        assert np.isnan(metrics[key])
    assert set(metrics) == set(_metrics(ROWS))


def test_the_alignment_of_one_row_is_known():
    monitor = jssl.Monitor()
    monitor.update([[1.0, 0.0]], [[0.0, 3.0]])
    assert monitor.metrics()["alignment"] == pytest.approx(2)


@pytest.mark.parametrize("sizes", [(LEAST - 1,), (1,) * (LEAST - 1), (2, 3, 2)])
def test_fewer_rows_than_a_verdict_needs_raise_nothing_even_where_they_are_equal(sizes):
    batches = [np.ones((size, 4)) for size in sizes]
    assert _metrics(*batches)["collapse"] == UNDEFINED
    with pytest.raises(jssl.CollapseError, match="as this call of metrics shows: complete"):
        _metrics(*batches, np.ones((1, 4)))


def test_ranks_are_those_of_diagnose_from_two_rows_on():
    for few in (ROWS[:2], ROWS[:5]):
        seen = jssl.diagnose(few).metrics["effective rank"].value
        assert _metrics(few, half_life=np.inf)["effective_rank"] == pytest.approx(seen)


def test_two_equal_rows_among_single_ones_are_no_collapse_within_their_batch():
    rows = RNG.normal(size=(20, 4))
    single = [row[None] for row in rows]
    assert _metrics(*single, np.repeat(rows[:1], 2, 0))["collapse"] == 0


def test_of_few_rows_of_a_healthy_encoder_many_are_close_by_chance_and_of_eight_hardly_any():
    """The reason for the least number: the mean has 98 % of the mean square."""
    spectrum = 0.8 ** np.arange(16)
    spectrum *= np.sqrt(0.02 / np.mean(spectrum**2))
    found = {}
    for count in (2, LEAST):
        close = 0
        for _ in range(300):
            z = 1 + RNG.normal(size=(count, 16)) * spectrum
            close += z.var(0).sum() <= CONSTANT * np.square(z).sum(1).mean()
        found[count] = close / 300
    assert found[2] > 0.05
    assert found[LEAST] < 0.01


@pytest.mark.parametrize("make", [np.asarray, jnp.asarray])
@pytest.mark.parametrize("size", [1e308, 1e200, 1e61, 1e-61, 1e-200, 1e-300])
def test_rows_whose_powers_leave_float64_are_counted_and_are_no_collapse(make, size):
    far = np.sign(ROWS) * size
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = _metrics(make(far))
        mixed = _metrics(make(np.concatenate([ROWS, far[:3]])), half_life=np.inf)
    assert (metrics["rows"], metrics["rows_not_finite"]) == (0, 64)
    assert metrics["collapse"] == UNDEFINED
    assert mixed["rows_not_finite"] == 3
    for key, value in _metrics(ROWS, half_life=np.inf).items():
        if key != "rows_not_finite":
            assert mixed[key] == pytest.approx(value, nan_ok=True)


@pytest.mark.skipif(np.finfo(np.longdouble).maxexp <= 1024, reason="long double is float64 here")
def test_long_doubles_that_float64_cannot_hold_are_counted_without_a_warning():
    assert _metrics(np.full((9, 2), np.finfo(np.longdouble).max))["rows_not_finite"] == 9


@pytest.mark.parametrize("size", [1e59, 1e40, 1e-50, 1e-59])
def test_metrics_do_not_depend_on_a_scale_that_float32_cannot_hold(size):
    scaled, plain = (_metrics(ROWS * factor, half_life=np.inf) for factor in (size, 1))
    assert scaled == pytest.approx(plain, rel=1e-6)


def test_rows_of_zeros_are_a_complete_collapse():
    monitor = jssl.Monitor()
    monitor.update(np.zeros((64, 4)))
    assert monitor.metrics()["collapse"] == COMPLETE


@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_second_views_whose_powers_leave_float64_are_no_pairs(size):
    monitor = jssl.Monitor()
    views = ROWS + 0.1
    monitor.update(ROWS, views)
    expected = monitor.metrics()["alignment"]
    monitor.reset()
    extra = np.concatenate([views, np.full((1, 4), size)])
    monitor.update(np.concatenate([ROWS, ROWS[:1]]), extra)
    assert monitor.metrics()["alignment"] == pytest.approx(expected)
    assert monitor.metrics()["rows"] == 65
    assert monitor.metrics()["views_not_finite"] == 1


@pytest.mark.parametrize("give", [np.asarray, jnp.asarray], ids=["NumPy", "JAX"])
def test_second_views_that_are_not_finite_are_counted_and_their_rows_are_kept(give):
    """Of 64 rows a batch, one has no usable view, and one neither a row nor a view."""
    views = ROWS + 0.1
    views[[3, 5]] = np.nan
    rows = ROWS.copy()
    rows[5] = np.inf
    with precision.float64():
        monitor = jssl.Monitor(half_life=np.inf)
        for _ in range(3):
            monitor.update(give(rows), give(views))
        counts = monitor.metrics()
        assert (counts["views_not_finite"], counts["rows_not_finite"]) == (3, 3)
        assert counts["rows"] == pytest.approx(3 * 63)
        monitor.reset()
        monitor.update(give(rows), give(np.full_like(views, np.nan)))
        counts = monitor.metrics()
        assert np.isnan(counts["alignment"])
        assert counts["views_not_finite"] == 63
        monitor.reset()
        monitor.update(give(rows))
        assert not {"alignment", "views_not_finite"} & set(monitor.metrics())


def test_a_deleted_or_sparse_array_of_jax_is_one_line_that_says_what_to_do():
    from jax.experimental import sparse

    deleted = jnp.ones((4, 3))
    deleted.delete()
    for given, said in (
        (deleted, "deleted or donated; use it before"),
        (sparse.BCOO.fromdense(jnp.eye(3)), r"sparse array; pass embeddings.todense\(\)"),
    ):
        with pytest.raises(jssl.InputError, match=said):
            _metrics(given)
