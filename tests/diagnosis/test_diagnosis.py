"""`jssl.diagnose` and `jssl diagnose`: right numbers, errors that hold, bad files."""

import json
import re

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from jax.experimental import sparse

import jssl
from jssl import diagnostics
from jssl.commands import main as cli
from jssl.data.lazy_rows import LazyRows
from jssl.diagnosis import diagnosis
from jssl.errors import InputError

RNG = np.random.default_rng(0)
SCALES = np.array([4.0, 2.0, 1.0, 0.5, 0.25, 0.125])
Z = RNG.normal(size=(400, 6)) * SCALES + 1
LABELS = (Z[:, 0] > 1).astype(int)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("z.npy", Z)
    return tmp_path


def test_metrics_are_those_of_the_functions_at_once():
    views = Z + 0.3 * RNG.normal(size=Z.shape)
    seen = jssl.diagnose(Z, LABELS, views)
    eigenvalues = np.linalg.eigvalsh(np.cov(Z.T, bias=True))[::-1]
    clouds = jnp.stack([Z, views], axis=1)
    expected = {
        "effective rank": diagnostics.effective_rank(Z),
        "RankMe": diagnostics.rankme(Z),
        "participation ratio": diagnostics.participation_ratio(eigenvalues),
        "alpha": diagnostics.alpha_req(eigenvalues).exponent,
        "alignment": diagnostics.alignment(Z, views).value,
        "uniformity": diagnostics.uniformity(jnp.asarray(Z)).value,
        "LiDAR": diagnostics.lidar(clouds),
    }
    for name, value in expected.items():
        assert seen.metrics[name].value == pytest.approx(float(value), rel=1e-9), name
    np.testing.assert_allclose(seen.eigenvalues, eigenvalues, rtol=1e-10)
    assert seen.metrics["linear probe (logistic regression) accuracy"].value > 0.9
    assert seen.metrics["20-nearest-neighbour accuracy"].value > 0.85


def test_figures_of_a_sample_hold_the_exact_ones_within_their_errors(monkeypatch):
    monkeypatch.setattr(diagnosis, "SAMPLE", 100)
    sampled, exact = jssl.diagnose(Z), jssl.diagnose(Z, exact=True)
    one, all_ = sampled.metrics["uniformity"], exact.metrics["uniformity"]
    assert (one.rows, all_.rows) == (100, 400)
    assert 0 < abs(one.value - all_.value) < 3.9 * one.error
    assert sampled.metrics["RankMe"].value == exact.metrics["RankMe"].value
    again = jssl.diagnose(Z, seed=1).metrics["uniformity"].value
    assert again != one.value
    assert jssl.diagnose(Z).metrics["uniformity"].value == one.value


@pytest.mark.parametrize("rows", [400, 9])
def test_collapse_is_named_with_its_threshold(rows):
    kinds = []
    wide = np.random.default_rng(1).normal(size=(400, 12))
    for z in (wide, wide * (np.arange(12) < 2), np.ones_like(wide) * 0.1, 0 * wide):
        seen = jssl.diagnose(z[:rows])
        kinds.append(diagnostics.KINDS[int(seen.verdict.kind)])
        assert kinds[-1] == "none" or "at most" in seen.summary[0] or "or less" in seen.summary[0]
        assert seen.summary[0].lower().startswith(f"{kinds[-1]} collapse".replace("none", "no"))
    assert kinds == ["none", "dimensional", "complete", "complete"]


def test_fewer_rows_than_columns_are_told_and_have_the_same_ranks_as_by_svd():
    wide = RNG.normal(size=(10, 30))
    seen = jssl.diagnose(wide, views=wide + 0.1)
    rank = float(diagnostics.effective_rank(jnp.asarray(wide)))
    assert seen.metrics["effective rank"].value == pytest.approx(rank, rel=1e-9)
    assert any("10 rows span at most 9" in caveat for caveat in seen.caveats)
    assert any("LiDAR was left out" in caveat for caveat in seen.caveats)
    assert int(seen.verdict.kind) == 0


def test_constant_columns_and_zero_rows_are_told_and_not_refused():
    z = Z.copy()
    z[:, 2] = 7
    assert any(
        "1 unit is dead" in line and line.endswith(": 2.") for line in jssl.diagnose(z).summary
    )
    z = Z.copy()
    z[:3] = 0
    assert any("3 rows are all zero" in caveat for caveat in jssl.diagnose(z).caveats)


def staircase(steps=12):
    times = np.linspace(0, 11, steps)
    levels = 1 / (1 + np.exp(-4 * (times[:, None] - np.array([2.0, 5.0, 8.0]))))
    base = RNG.normal(size=(200, 3))
    base = np.linalg.qr(base - base.mean(0))[0] * np.sqrt(200)
    return times, [base * np.sqrt(level) for level in levels]


def test_steps_over_checkpoints_are_found_at_their_times():
    times, checkpoints = staircase()
    history = jssl.diagnose(checkpoints[-1], checkpoints=checkpoints).history
    assert int(history.steps.learned) == int(history.steps.distinct) == 3
    np.testing.assert_allclose(history.steps.half_times, [2, 5, 8], atol=0.6)
    assert history.similarity[-1] == pytest.approx(1)
    expected = diagnostics.cka(checkpoints[3], checkpoints[-1], debiased=True)
    assert history.similarity[3] == pytest.approx(float(expected), rel=1e-6)
    assert history.ranks[0] < 3.01
    np.testing.assert_array_equal(history.t, np.arange(len(times)))


NARROW = [np.int8, np.uint8, np.int32, np.float16, jnp.bfloat16, jnp.float8_e4m3fn, ">f4", ">f8"]


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_any_dtype_gives_the_numbers_of_its_values_in_double_precision(dtype):
    z = (8 * Z + 30).clip(0, 120).astype(dtype)
    exact = z.astype(np.float64)
    given = jssl.diagnose(z, LABELS, z[:, ::-1], [z[:200], z[200:]])
    wide = jssl.diagnose(exact, LABELS, exact[:, ::-1], [exact[:200], exact[200:]])
    for name, metric in wide.metrics.items():
        assert given.metrics[name].value == pytest.approx(metric.value, rel=1e-5), name
    np.testing.assert_array_equal(given.history.spectra, wide.history.spectra)
    assert given.summary == wide.summary
    assert jssl.diagnose(jnp.asarray(Z)).summary == jssl.diagnose(Z).summary


def test_bfloat16_that_numpy_stored_as_void_is_read_and_said(folder, capsys):
    stored = np.asarray(jnp.asarray(Z, jnp.bfloat16))
    np.save("b.npy", stored)
    np.save("c0.npy", stored)
    np.savez("c1.npz", z=stored)
    expected = jssl.diagnose(stored.astype(np.float64)).summary
    arguments = ["b.npy", "--views", "b.npy", "--checkpoints", "c1.npz", "c0.npy"]
    assert cli.run(["diagnose", *arguments, "--out", "out"]) == 0
    out = capsys.readouterr().out
    assert all(sentence in out for sentence in expected)
    for name in ("embeddings", "views", "checkpoint c0.npy"):
        assert f"{name} is stored as 2-byte void (V2)" in out
    seen = jssl.diagnose(np.load("b.npy"))
    assert list(seen.summary) == list(expected)
    assert "read as bfloat16" in seen.caveats[0]


def test_float8_that_numpy_stored_as_void_is_refused_with_what_to_do(folder, capsys):
    given = np.asarray(jnp.asarray(Z, jnp.float8_e4m3fn))
    np.save("f.npy", given)
    assert cli.run(["diagnose", "f.npy", "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert "x.astype('float32')" in error
    followed = np.load("f.npy").view(jnp.float8_e4m3fn)
    assert jssl.diagnose(followed).summary == jssl.diagnose(given.astype(np.float64)).summary


def test_pytorch_features_are_read():
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(Z, requires_grad=True)
    assert jssl.diagnose(tensor).summary == jssl.diagnose(Z).summary
    assert jssl.diagnose(tensor.bfloat16()).metrics["RankMe"].value > 2


def test_printing_a_diagnosis_shows_its_summary():
    diagnosis = jssl.diagnose(Z)
    assert str(diagnosis).splitlines() == list(diagnosis.summary)


def test_every_metric_states_its_range_and_meaning():
    metrics = jssl.diagnose(Z, LABELS, Z + 0.1).metrics
    assert len(metrics) == 16
    for name, metric in metrics.items():
        assert (metric.name, metric.rows) == (name, 400)
        assert metric.range
        assert metric.good
        assert metric.meaning


def test_parts_of_one_set_are_not_reported_as_training():
    draws = np.random.default_rng(0)
    z = draws.normal(size=(500, 16))
    for parts in (np.split(z, 10), np.split(z, [40, 100, 300]), np.split(draws.permutation(z), 2)):
        seen = jssl.diagnose(z, checkpoints={f"img_emb_{i}": part for i, part in enumerate(parts)})
        assert "nothing was learned between them" in seen.summary[-1]
        assert "parts of one data set" in seen.summary[-1]
        assert seen.history.steps is None
        assert seen.history.same_rows is False
        assert not seen.history.changed


def test_checkpoints_of_unrelated_embeddings_have_no_similarity():
    for n in (200, 100):
        a, b = np.random.default_rng(0).normal(size=(2, n, 150))
        history = jssl.diagnose(b, checkpoints={"z-1": a, "z-2": b}).history
        np.testing.assert_allclose(history.similarity, [0, 1], atol=4 * np.sqrt(2) / n)


def test_checkpoints_in_shuffled_order_keep_their_steps_and_are_said_to_be_shuffled():
    _, checkpoints = staircase()
    draws = np.random.default_rng(0)
    history = jssl.diagnose(
        checkpoints[-1], checkpoints=[draws.permutation(z) for z in checkpoints]
    ).history
    assert any("not contain the same samples in the same order" in each for each in history.summary)
    np.testing.assert_allclose(history.steps.half_times, [2, 5, 8], atol=0.6)
    assert history.changed
    assert history.same_rows is False


def test_what_was_there_at_the_first_checkpoint_is_not_reported_as_learned_between():
    same = jssl.diagnose(Z, checkpoints=[Z, Z, Z])
    equal = "The spectra of the centred rows are equal, so nothing was learned between the"
    assert f"{equal} checkpoints." in same.summary
    assert same.history.same_rows
    grown = jssl.diagnose(
        Z, checkpoints=[Z * np.array([1, g, 0, 0, 0, 0]) for g in (0.1, 0.5, 1.0)]
    )
    early = "1 of them was half-learned at the first checkpoint"
    assert any(early in line for line in grown.summary)
    assert "One checkpoint was read" in jssl.diagnose(Z, checkpoints=[Z]).summary[-1]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"embeddings": Z[:, 0]}, r"must be \(n, dim\)"),
        ({"embeddings": 1e200 * Z}, "powers do not fit in float64; divide"),
        ({"embeddings": 1e100 * Z}, "powers do not fit in float64; divide"),
        ({"embeddings": 1e-200 * Z}, "powers do not fit in float64; divide"),
        ({"embeddings": np.ma.array(Z, mask=Z > 4)}, "masked values; leave those rows out"),
        ({"embeddings": np.ma.array(Z, mask=Z > 4).astype("f4")}, "masked values"),
        ({"embeddings": scipy.sparse.csr_array(Z)}, r"sparse array; pass embeddings.toarray\(\)"),
        ({"embeddings": sparse.BCOO.fromdense(Z)}, r"sparse array; pass embeddings.todense\(\)"),
        ({"embeddings": Z.astype(object)}, "got object, convert it first"),
        ({"views": np.ma.array(Z, mask=Z > 4)}, "views has .* masked values"),
        ({"checkpoints": [np.ma.array(Z, mask=Z > 4)]}, "no checkpoint could be read.* masked"),
        ({"embeddings": np.array([["a", "b"], ["c", "d"]])}, "floating point"),
        ({"embeddings": Z.astype(complex)}, "floating point"),
        ({"labels": LABELS[1:]}, "one entry for each of the 400 rows"),
        ({"labels": LABELS + 0.5}, "integers or strings"),
        ({"labels": 0 * LABELS}, "only one class"),
        ({"views": Z[1:]}, "row by row"),
        ({"checkpoints": {"a": {"1": Z}, "b": Z}}, "checkpoints mixes runs and arrays"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_input_is_refused(changes, says):
    with pytest.raises(InputError, match=says):
        jssl.diagnose(**({"embeddings": Z} | changes))


def test_rows_that_are_not_finite_are_counted_and_placed():
    z = Z.copy()
    z[[3, 50, 399], 1] = np.nan, np.inf, np.nan
    with pytest.raises(InputError, match=r"has 3 rows .* not finite, at 3, 50, 399; drop"):
        jssl.diagnose(z)
    z[:] = np.nan
    with pytest.raises(InputError, match=r"has 400 rows .* at 0, 1, 2, 3, 4, \.\.\.;"):
        jssl.diagnose(z)
    for dtype in (np.float16, jnp.bfloat16, np.float32):
        for bad in (np.nan, np.inf, -np.inf):
            z = Z.astype(dtype)
            z[399, 5] = bad
            with pytest.raises(InputError, match=r"has 1 row .* not finite, at 399; drop"):
                jssl.diagnose(z)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("count", [0, 3, 200])
def test_zero_rows_are_counted_in_any_number(count, offset):
    z = (Z[:, ::-1] + offset).astype(np.float16)
    z[20 : 20 + count] = 0
    z[300, :-1] = 0  # not a zero row
    said = [line for line in jssl.diagnose(z).caveats if "rows are all zero" in line]
    assert said == (
        [f"{count:,} rows are all zero. They have no direction on the unit sphere."]
        if count
        else []
    )


def test_rows_of_narrow_types_are_read_once_and_then_a_sample(monkeypatch):
    monkeypatch.setattr(diagnosis, "SAMPLE", 100)
    z = Z.astype(np.float16)
    read = []

    def part(low, high):
        read.append(high - low)
        return z[low:high]

    lazy = LazyRows(z.shape, z.dtype, part, lambda chosen: z[chosen])
    assert jssl.diagnose(lazy).summary == jssl.diagnose(z).summary
    assert sum(read) == len(z) + 1  # the first row is read for its own sake


def test_the_command_prints_the_summary_and_writes_page_and_json(folder, capsys):
    np.save("views.npy", Z + 0.1)
    np.save("labels.npy", LABELS)
    for i, z in enumerate(staircase(4)[1]):
        np.save(f"c{8 + i}.npy", np.pad(z, ((0, 0), (0, 3))))
    arguments = ["diagnose", "z.npy", "--labels", "labels.npy", "--views", "views.npy"]
    assert cli.run([*arguments, "--checkpoints", "c*.npy", "--out", "out"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("No collapse")
    assert "Over 4 checkpoints" in out
    record = json.loads((folder / "out" / "report.json").read_text())
    assert record["verdict"]["kind"] == "none"
    assert record["checkpoints"]["t"] == [8, 9, 10, 11]
    assert record["metrics"]["RankMe"]["error"] is None
    assert record["checkpoints"]["table"]["rule"] == ""
    assert {"leading", "directions", "directional"} < set(record["verdict"])
    page = (folder / "out" / "report.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert page.count("<img") == page.count(' alt="') == 2
    assert record["summary"][1] in page


def test_a_bad_checkpoint_is_named_and_the_rest_is_processed(folder, capsys):
    for i in range(3):
        np.save(f"c{i}.npy", Z * (i + 1))
    bad = Z.copy()
    bad[7] = np.nan
    np.save("c1.npy", bad)
    (folder / "c9.npy").write_bytes(b"no array")
    np.save("c8.npy", Z[:, 1:])
    np.save("c7.npy", np.asarray(jnp.asarray(Z, jnp.float8_e5m2)))
    np.save("c6.npy", 1e200 * Z)
    np.save("c5.npy", Z.astype(complex))
    assert cli.run(["diagnose", "z.npy", "--checkpoints", "c*.npy", "--out", "out"]) == 2
    seen = capsys.readouterr()
    assert "c1.npy has 1 row" in seen.err
    assert "cannot read c9.npy" in seen.err
    assert seen.err.count("\n") == 6
    assert "Over 2 checkpoints" in seen.out
    assert json.loads((folder / "out" / "report.json").read_text())["checkpoints"]["failures"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["absent.npy"], "no file absent.npy"),
        (["text.npy"], "cannot read text.npy"),
        (["cut.npy"], "cannot read cut.npy"),
        (["objects.npy"], "cannot read objects.npy"),
        (["two.npz"], "it holds a (400, 6) float64, b (400, 2) float64"),
        (["z.npy", "--labels", "z.npy"], "labels must have one entry for each"),
        (["z.npy", "--checkpoints", "absent*.npy"], "no file matches"),
        (["z.npy", "--checkpoints", "text.npy"], "no checkpoint could be read"),
        (["z.npy", "--out", "/dev/null/x"], "choose a writable folder"),
    ],
)
def test_bad_files_are_one_line_and_status_2(folder, capsys, arguments, says):
    (folder / "text.npy").write_text("hello")
    (folder / "cut.npy").write_bytes((folder / "z.npy").read_bytes()[:1000])
    np.save("objects.npy", np.array([{}, {}]), allow_pickle=True)
    np.savez("two.npz", a=Z, b=Z[:, :2])
    assert cli.run(["diagnose", *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not list(folder.glob("*/report.html"))


def test_a_number_that_rounds_to_zero_has_no_sign():
    z = np.random.default_rng(0).normal(size=(2500, 8))
    seen = jssl.diagnose(z)
    assert -0.0005 < seen.metrics["Gaussian distance"].value < 0
    assert "the distance from an isotropic gaussian is 0.000 ±" in str(seen).lower()
