"""Arrays that are no plain matrix of floats: the right rows, or one line with a remedy."""

import datetime
import decimal
import json
import subprocess
import sys
import warnings

import h5py
import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy as safetensors_numpy
import scipy.sparse

import jssl
from jssl.commands import main as cli
from jssl.data.embedding_files import read_embeddings
from jssl.errors import InputError

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(30, 6)).astype(np.float32)
COUNTS = RNG.integers(0, 100, (30, 6))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_parquet(path, columns):
    pq.write_table(pa.table(columns), path)


def test_a_file_without_rows_is_a_note_and_the_others_are_read(folder, capsys):
    np.save("a.npy", Z)
    np.save("b.npy", Z[:0])
    np.save("c.npy", np.array([]))
    write_parquet("d.parquet", {"emb": pa.array([], pa.list_(pa.float32()))})
    with h5py.File("e.h5", "w") as file:
        file.create_dataset("z", data=Z[:0], chunks=(1, 6), maxshape=(None, 6), compression="gzip")
    empty = ["b.npy", "c.npy", "d.parquet", "e.h5"]
    found = read_embeddings(["a.npy", *empty])
    np.testing.assert_array_equal(found.z[:], Z)
    assert found.notes == tuple(f"{name} holds no rows." for name in empty)
    assert found.failures == ()
    assert found.samples is None
    assert cli.run(["diagnose", "a.npy", *empty, "--out", "out"]) == 0
    assert "b.npy holds no rows." in capsys.readouterr().out
    assert cli.run(["diagnose", "b.npy", "--out", "empty"]) == 2
    assert capsys.readouterr().err == "jssl: b.npy holds no rows; give a file with rows\n"


def test_tokens_as_rows_need_no_labels(folder, capsys):
    np.save("t.npy", RNG.normal(size=(30, 5, 4)))
    assert cli.run(["diagnose", "t.npy", "--pool", "none", "--out", "out"]) == 0
    assert "150 rows in 4 dimensions" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"])
def test_float8_of_safetensors_is_read(folder, name):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    stored = torch.tensor(abs(Z) if name == "float8_e8m0fnu" else Z).to(getattr(torch, name))
    tensors = {"first": torch.ones(3), "z": stored, "t": stored.clone().reshape(30, 2, 3)}
    save_file(tensors | {"none": stored[:0].clone()}, "z.safetensors")
    found = read_embeddings("z.safetensors", key="z").z
    assert found.dtype == getattr(ml_dtypes, name)
    np.testing.assert_array_equal(found[:].astype(np.float32), stored.float().numpy())
    tokens = read_embeddings("z.safetensors", key="t", pool="cls").z
    np.testing.assert_array_equal(tokens[:].astype(np.float32), stored[:, :3].float().numpy())
    with pytest.raises(InputError, match="holds no rows"):
        read_embeddings("z.safetensors", key="none")


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint8])
def test_a_table_of_integers_is_a_matrix(folder, dtype):
    columns = {f"e{i}": COUNTS[:, i].astype(dtype) for i in range(6)}
    write_parquet("z.parquet", columns | {"name": ["a"] * 30, "label": np.arange(30) % 3})
    found = read_embeddings("z.parquet")
    np.testing.assert_array_equal(found.z[:], COUNTS)
    assert found.z.dtype == dtype
    assert list(found.labels) == (np.arange(30) % 3).tolist()
    lists = {"vector": list(Z), "id": np.arange(30), "age": np.arange(30)}
    write_parquet("lists.parquet", lists)  # integers beside lists are no second matrix
    np.testing.assert_array_equal(read_embeddings("lists.parquet").z[:], Z)
    write_parquet("gap.parquet", columns | {"e2": pa.array([*range(29), None])})
    with pytest.raises(InputError, match="row 29 of e2 is missing; leave such rows out"):
        read_embeddings("gap.parquet")


def test_decimals_are_numbers_and_integers_beside_them_are_named(folder):
    written = [[f"{value:.2f}" for value in row] for row in Z]
    kind = pa.decimal128(9, 2)
    columns = {
        f"e{i}": pa.array([decimal.Decimal(row[i]) for row in written], kind) for i in range(6)
    }
    write_parquet("z.parquet", columns)
    expected = np.array(written, float)
    np.testing.assert_allclose(read_embeddings("z.parquet").z[:], expected, rtol=1e-15)
    lists = [[decimal.Decimal(value) for value in row] for row in written]
    write_parquet("lists.parquet", {"emb": pa.array(lists, pa.list_(kind))})
    np.testing.assert_allclose(read_embeddings("lists.parquet").z[:], expected, rtol=1e-15)
    one = {"id": np.arange(30), "label": np.arange(30) % 2}
    write_parquet("one.parquet", columns | one)
    found = read_embeddings("one.parquet")
    np.testing.assert_allclose(found.z[:], expected, rtol=1e-15)
    line = "The column of integers 'id' of one.parquet is no part of the embeddings."
    assert line in found.notes
    write_parquet("five.parquet", columns | {f"c{i}": np.arange(30) for i in range(5)})
    line = "The columns of integers 'c0', 'c1', 'c2' and 2 more of five.parquet are no part of"
    assert line in " ".join(read_embeddings("five.parquet").notes)


def test_views_of_pytorch_that_are_negated_or_conjugated_are_read(folder):
    torch = pytest.importorskip("torch")
    negated = torch.complex(torch.zeros(30, 6), torch.tensor(Z)).conj().imag
    assert negated.is_neg()
    torch.save(negated, "z.pt")
    np.testing.assert_array_equal(read_embeddings("z.pt").z[:], -Z)
    expected = jssl.diagnose(-Z).metrics()
    assert jssl.diagnose(negated).metrics() == pytest.approx(expected, nan_ok=True)
    torch.save(torch.complex(torch.tensor(Z), torch.tensor(Z)).conj(), "c.pt")
    with pytest.raises(InputError, match=r"c.pt holds complex numbers \(complex64\)"):
        read_embeddings("c.pt")


def test_a_list_of_vectors_is_rows(folder):
    torch = pytest.importorskip("torch")
    rows = list(torch.tensor(Z))
    torch.save(rows, "rows.pt")
    torch.save({"z": [row.bfloat16() for row in rows], "labels": [torch.ones(15)] * 2}, "d.pt")
    torch.save([torch.tensor(Z[:13]), torch.tensor(Z[13:])], "batches.pt")
    np.testing.assert_array_equal(read_embeddings("rows.pt").z[:], Z)
    np.testing.assert_array_equal(read_embeddings("batches.pt").z[:], Z)
    found = read_embeddings("d.pt")
    np.testing.assert_array_equal(found.z[:], Z.astype(ml_dtypes.bfloat16))
    np.testing.assert_array_equal(found.labels, np.ones(30))
    scores = {"z": [torch.tensor(Z)], "scores": [torch.ones(15)] * 2}  # batches of numbers
    torch.save(scores, "scores.pt")
    np.testing.assert_array_equal(read_embeddings("scores.pt").z[:], Z)


@pytest.mark.parametrize("layout", ["strided", "jagged"])
@pytest.mark.parametrize("wrap", [lambda z: z, lambda z: {"embeddings": z}, lambda z: [z]])
def test_a_nested_tensor_is_one_line_in_the_words_of_a_diagnosis(folder, layout, wrap):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = [torch.ones(2, 3), torch.ones(4, 3)]
        nested = torch.nested.nested_tensor(parts, layout=getattr(torch, layout))
        torch.save(wrap(nested), "z.pt")
        with pytest.raises(InputError, match="is a nested tensor; pass one row for each sample"):
            read_embeddings("z.pt")
        with pytest.raises(InputError, match="is a nested tensor; pass one row for each sample"):
            jssl.diagnose(nested)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "dia", "bsr"])
def test_a_sparse_matrix_of_scipy_is_said_to_be_one(folder, kind):
    scipy.sparse.save_npz("s.npz", scipy.sparse.eye_array(6, format=kind))
    with pytest.raises(InputError, match=r"s.npz holds a sparse matrix of SciPy; .*toarray\(\)"):
        read_embeddings("s.npz")


FIELDS = np.zeros(30, [("a", float), ("b", "i4"), ("c", "U3")])
REFUSED = {
    "complex": (Z.astype(np.complex64), r"numpy.hstack\(\[z.real, z.imag\]\)"),
    "dates": (COUNTS.astype("datetime64[D]"), r"dates \(datetime64\[D\]\).*leave them out"),
    "durations": (COUNTS.astype("timedelta64[s]"), r"durations .*leave them out"),
    "words": (Z.astype("U9"), r"strings \(<U9\).*z.astype\('float32'\)"),
    "fields": (FIELDS, r"fields a, b, c; .*structured_to_unstructured\(z\[\['a', 'b'\]\]\)"),
    "numbers": (FIELDS[["a", "b"]].copy(), r"fields a, b; .*structured_to_unstructured\(z\)"),
    "vector": (Z[:, 0], r"\(30,\).*: pass one row for each sample, such as z.reshape"),
    "maps": (np.ones((5, 4, 3, 2)), r"\(5, 4, 3, 2\).*: pool the inner axes, .*z.mean\(\(2, 3\)\)"),
    "number": (np.float32(3), r"\(\).*: pass an array of one row for each sample"),
    "narrow": (np.ones((5, 0)), r"\(5, 0\).*: it has no columns"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_array_that_is_no_matrix_of_numbers_is_one_line_with_a_remedy(folder, name):
    stored, said = REFUSED[name]
    np.save("z.npy", stored)
    with pytest.raises(InputError, match=rf"^z\.npy .*{said}"):
        read_embeddings("z.npy")
    with pytest.raises(InputError, match=rf"^embeddings .*{said}"):
        jssl.diagnose(stored)


def test_the_remedy_of_structured_arrays_makes_a_matrix():
    import numpy.lib.recfunctions as fields

    stored = np.rec.fromarrays(Z.T, names="a,b,c,d,e,f")
    np.testing.assert_array_equal(fields.structured_to_unstructured(stored[["a", "b"]]), Z[:, :2])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("a.npy", r"is a path .*numpy.load\('a.npy'\), or run the command jssl diagnose a.npy"),
        ("a.npz", r"is a path .*jssl.data.read_embeddings\('a.npz'\).z, or run the command"),
        (None, r"is None and no array; pass an array \(n, dim\)"),
        ({"z": Z}, r"is a dict and no array; .* such as embeddings\['z'\]"),
        ({}, "is a dict and no array; pass one of its arrays$"),
        (3.0, "pass an array of one row for each sample"),
        (datetime.date(2020, 1, 1), "pass an array of one row for each sample"),
    ],
)
def test_what_is_no_array_is_named(given, said):
    with pytest.raises(InputError, match=f"^embeddings .*{said}"):
        jssl.diagnose(given)


def test_an_opened_archive_and_a_path_object_are_named(folder):
    np.savez("a.npz", z=Z)
    with np.load("a.npz") as stored, pytest.raises(InputError, match=r"such as embeddings\['z'\]"):
        jssl.diagnose(stored)
    with pytest.raises(InputError, match=r"labels is a path .*numpy.load\('.*y.npy'\)$"):
        jssl.diagnose(Z, folder / "y.npy")


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "int64"])
def test_each_usual_type_of_safetensors_is_read_by_a_command_in_a_new_process(dtype, folder):
    """ml_dtypes is not imported there; safetensors needs it for bfloat16."""
    z = np.round(8 * np.random.default_rng(0).normal(size=(40, 6))).astype(dtype)
    safetensors_numpy.save_file({"embeddings": z}, "z.safetensors")
    command = [sys.executable, "-m", "jssl", "diagnose", "z.safetensors", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    np.save("z.npy", z.astype(np.float64))
    expected = subprocess.run(
        [*command[:4], "z.npy", "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["summary"] == json.loads(expected.stdout)["summary"]
