"""Files of embeddings as the libraries that people use write them: same rows, or one clear line."""

import json

import h5py
import ml_dtypes
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from safetensors.numpy import save_file

from jssl.commands import main as cli
from jssl.data import lazy_rows, spool
from jssl.data.embedding_files import read_embeddings, read_labels_of
from jssl.data.file_sets import natural_order
from jssl.data.readers import READERS
from jssl.errors import InputError

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(30, 4)).astype(np.float32)
LABELS = np.arange(30) % 3
NAMES = np.array(["cat", "dog", "owl"])[LABELS]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def values(paths, **options):
    return np.asarray(read_embeddings(paths, **options).z[:], np.float32)


def test_a_folder_a_pattern_and_a_list_are_one_set_in_natural_order(folder):
    for i in range(12):
        np.save(f"img_emb_{i}.npy", np.full((2, 3), i, np.float16))
    expected = np.repeat(np.arange(12), 2)
    for paths in (".", "img_emb_*.npy", [f"img_emb_{i}.npy" for i in range(12)]):
        found = read_embeddings(paths)
        np.testing.assert_array_equal(found.z[:, 0], expected)
        assert found.z.shape == (24, 3)
        assert len(found.files) == 12
        np.testing.assert_array_equal(found.z[np.array([23, 0, 7])][:, 0], [11, 0, 3])


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_any_dtype_and_order_is_read(folder, monkeypatch, dtype, order):
    monkeypatch.setattr(lazy_rows, "BLOCK_BYTES", 40)  # many blocks
    stored = np.asarray(10 * Z, dtype, order=order)
    np.save("z.npy", stored)
    found = read_embeddings("z.npy").z
    np.testing.assert_array_equal(found[:], stored)
    np.testing.assert_array_equal(found[7:19], stored[7:19])
    np.testing.assert_array_equal(found[np.array([3, 29])], stored[[3, 29]])
    np.testing.assert_array_equal(found[:, 1:3], stored[:, 1:3])


def test_a_file_in_fortrans_order_is_read_once_by_columns(folder, monkeypatch):
    stored = np.asfortranarray(RNG.normal(size=(1000, 8)))
    monkeypatch.setattr(lazy_rows, "BLOCK_BYTES", 100 * 8 * 8)
    copied = []
    contiguous = np.ascontiguousarray
    monkeypatch.setattr(
        lazy_rows.np, "ascontiguousarray", lambda a: copied.append(a.shape) or contiguous(a)
    )
    z = lazy_rows.by_columns(stored)
    parts = [z[low : low + 7] for low in range(0, 1000, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), stored)
    assert len(copied) <= 20  # ten blocks, some twice where a part crosses a boundary
    assert set(copied) == {(100, 8)}


def test_void_is_bfloat16_or_the_dtype_named(folder):
    for name in ("bfloat16", "float8_e4m3fn"):
        stored = Z.astype(getattr(ml_dtypes, name))
        np.save("z.npy", stored)
        np.testing.assert_array_equal(values("z.npy", dtype=name), stored.astype(np.float32))
    with pytest.raises(InputError, match="1-byte void"):
        read_embeddings("z.npy")
    with pytest.raises(InputError, match="not 2-byte void; leave --dtype out"):
        read_embeddings("z.npy", dtype="bfloat16")
    with pytest.raises(InputError, match="dtype must be one of bfloat16"):
        read_embeddings("z.npy", dtype="bfloat")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("piece", [10, 2**24])
def test_npz_holds_embeddings_and_labels(folder, monkeypatch, save, piece):
    monkeypatch.setattr("jssl.data.readers.numpy_files.PIECE_BYTES", piece)
    save("z.npz", embeddings=Z, labels=LABELS, other=Z[:, :2], turned=np.asfortranarray(Z))
    found = read_embeddings("z.npz")
    np.testing.assert_array_equal(found.z[:], Z)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert "The labels are 'labels' of z.npz." in found.notes
    for key, expected in (("other", Z[:, :2]), ("turned", Z)):
        np.testing.assert_array_equal(values("z.npz", key=key), expected)
    with pytest.raises(InputError, match=r"no 'absent'; it holds embeddings \(30, 4\) float32"):
        read_embeddings("z.npz", key="absent")
    np.testing.assert_array_equal(read_labels_of("z.npz"), LABELS)


def test_safetensors_of_every_dtype_are_read_by_slices(folder):
    half = Z.astype(ml_dtypes.bfloat16)
    save_file(
        {"z": Z, "half": half, "labels": LABELS, "small": Z.astype(np.float16)}, "z.safetensors"
    )
    found = read_embeddings("z.safetensors")
    np.testing.assert_array_equal(found.z[:], Z)
    np.testing.assert_array_equal(found.z[np.array([5, 9])], Z[[5, 9]])
    np.testing.assert_array_equal(found.labels, LABELS)
    np.testing.assert_array_equal(values("z.safetensors", key="half"), half.astype(np.float32))


def parquet_columns():
    flat = pa.array(Z.ravel())
    offsets = np.arange(0, Z.size + 1, 4)
    return pa, {
        "list": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat),
        "large_list": pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), flat),
        "fixed_size_list": pa.FixedSizeListArray.from_arrays(flat, 4),
        "halves": pa.FixedSizeListArray.from_arrays(pa.array(Z.astype(np.float16).ravel()), 4),
    }


@pytest.mark.parametrize("kind", ["list", "large_list", "fixed_size_list"])
@pytest.mark.parametrize("batch", [7, 8192])
def test_parquet_lists_are_rows(folder, monkeypatch, kind, batch):
    pa, columns = parquet_columns()
    import pyarrow.parquet as pq

    monkeypatch.setattr("jssl.data.readers.tables._BATCH", batch)
    pq.write_table(pa.table({"text": NAMES, "emb": columns[kind], "label": LABELS}), "z.parquet")
    found = read_embeddings("z.parquet")
    np.testing.assert_array_equal(found.z[:], Z)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert read_labels_of("z.parquet", "text") == NAMES.tolist()
    pq.write_table(pa.table({"a": columns[kind], "b": columns["halves"]}), "two.parquet")
    with pytest.raises(InputError, match="could be the embeddings; choose with --key"):
        read_embeddings("two.parquet")
    np.testing.assert_array_equal(values("two.parquet", key="b"), Z.astype(np.float16))


def test_columns_of_floats_are_a_matrix_and_ragged_or_missing_lists_are_named(folder):
    pa, _ = parquet_columns()
    import pyarrow.parquet as pq

    pq.write_table(pa.table({f"e{i}": Z[:, i] for i in range(4)} | {"label": NAMES}), "w.parquet")
    np.testing.assert_array_equal(values("w.parquet"), Z)
    pq.write_table(pa.table({"z": [[1.0, 2.0], [3.0]]}), "ragged.parquet")
    with pytest.raises(
        InputError, match=r"2 in row 0, 1 in row 1 \(rows are counted from 0\); give all"
    ):
        read_embeddings("ragged.parquet")
    pq.write_table(pa.table({"z": [[1.0, 2.0], None]}), "missing.parquet")
    with pytest.raises(InputError, match="row 1 of z is missing"):
        read_embeddings("missing.parquet")


def test_a_saved_data_set_of_hugging_face_is_its_folder(folder):
    pa, columns = parquet_columns()
    (folder / "data").mkdir()
    table = pa.table({"emb": columns["list"], "label": LABELS})
    for i, (low, high) in enumerate(((0, 12), (12, 30))):
        part = table.slice(low, high - low)
        with pa.ipc.new_stream(f"data/data-0000{i}-of-00002.arrow", table.schema) as sink:
            sink.write_table(part, max_chunksize=5)
    (folder / "data/dataset_info.json").write_text("{}")
    (folder / "data/state.json").write_text(json.dumps({"_data_files": []}))
    found = read_embeddings("data")
    np.testing.assert_array_equal(found.z[:], Z)
    np.testing.assert_array_equal(found.labels, LABELS)
    (folder / "splits").mkdir()
    (folder / "data").rename("splits/train")
    with pytest.raises(InputError, match="its folders are train"):
        read_embeddings("splits")


def test_arrow_files_of_feather_are_read(folder):
    pa, columns = parquet_columns()
    from pyarrow import feather

    feather.write_feather(pa.table({"emb": columns["fixed_size_list"]}), "z.feather")
    np.testing.assert_array_equal(values("z.feather"), Z)


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_anndata_files_are_read_by_key(folder, compression):
    with h5py.File("cells.h5ad", "w") as file:
        file.create_dataset("obsm/X_scVI", data=Z, compression=compression)
        file.create_dataset("obsm/X_pca", data=Z[:, :2])
        group = file.create_group("obs/cell_type")
        group["codes"] = np.where(LABELS == 2, -1, LABELS).astype(np.int8)
        group["categories"] = np.array(["B", "T"], object)
        sparse = file.create_group("X")
        sparse.attrs["shape"] = (30, 9)
        for name in ("data", "indices", "indptr"):
            sparse[name] = np.zeros(1)
    np.testing.assert_array_equal(values("cells.h5ad", key="obsm/X_scVI"), Z)
    with pytest.raises(InputError, match=r"choose with --key: .*obsm/X_scVI \(30, 4\) float32"):
        read_embeddings("cells.h5ad")
    with pytest.raises(InputError, match="X is a sparse matrix"):
        read_embeddings("cells.h5ad", key="X")
    found = read_embeddings("cells.h5ad", key="obsm/X_pca", label_key="obs/cell_type")
    assert list(found.labels[:4]) == ["B", "T", None, "B"]


def test_csv_of_lightly_and_tsv_of_the_projector_are_read(folder):
    table = pd.DataFrame({"filenames": [f"{i}.png" for i in range(30)]})
    for i in range(4):
        table[f"embedding_{i}"] = Z[:, i]
    table["labels"] = LABELS
    table.to_csv("embeddings.csv", index=False)
    found = read_embeddings("embeddings.csv")
    np.testing.assert_allclose(found.z[:], Z, rtol=1e-6)
    assert found.labels == LABELS.tolist()
    np.savetxt("tensors.tsv", Z, delimiter="\t")
    np.testing.assert_allclose(values("tensors.tsv"), Z, rtol=1e-6)
    (folder / "metadata.tsv").write_text("\n".join(NAMES) + "\n")
    assert read_labels_of("metadata.tsv") == NAMES.tolist()
    (folder / "named.tsv").write_text("file\tlabel\n" + "".join(f"x\t{n}\n" for n in NAMES))
    assert read_labels_of("named.tsv") == NAMES.tolist()


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_tensors_of_pytorch_are_read_without_running_code(folder, suffix):
    torch = pytest.importorskip("torch")
    z = torch.tensor(Z)
    torch.save(z, f"one{suffix}")
    torch.save({"epoch": 3, "features": z.bfloat16(), "labels": torch.tensor(LABELS)}, f"d{suffix}")
    torch.save([z[:10], z[10:]], f"batches{suffix}")
    torch.save(z, f"old{suffix}", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 2), f"module{suffix}")
    for name in ("one", "batches", "old"):
        np.testing.assert_array_equal(values(f"{name}{suffix}"), Z)
    found = read_embeddings(f"d{suffix}")
    np.testing.assert_array_equal(found.z[:].astype(np.float32), z.bfloat16().float().numpy())
    np.testing.assert_array_equal(found.labels, LABELS)
    with pytest.raises(InputError, match="weights_only=True"):
        read_embeddings(f"module{suffix}")


def test_tokens_ask_for_a_pool(folder):
    tokens = RNG.normal(size=(30, 5, 4)).astype(np.float16)
    np.savez("t.npz", z=tokens, labels=LABELS)
    with pytest.raises(InputError, match="pass --pool mean"):
        read_embeddings("t.npz")
    expected = tokens.astype(np.float32).mean(1)
    np.testing.assert_allclose(values("t.npz", pool="mean"), expected, rtol=1e-6)
    np.testing.assert_array_equal(values("t.npz", pool="cls"), tokens[:, 0])
    each = read_embeddings("t.npz", pool="none")
    np.testing.assert_array_equal(each.z[3:17], tokens.reshape(-1, 4)[3:17])
    np.testing.assert_array_equal(each.z[np.array([2, 149])], tokens.reshape(-1, 4)[[2, 149]])
    np.testing.assert_array_equal(each.labels, np.repeat(LABELS, 5))


def test_what_is_decoded_and_large_goes_to_a_temporary_file(folder, monkeypatch):
    monkeypatch.setattr(spool, "MEMORY_BYTES", 100)
    found = spool.spooled("z", iter([Z[:3], Z[3:9], Z[9:]]))
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, Z)
    with pytest.raises(InputError, match="after it"):
        spool.spooled("z", iter([Z, Z[:, :2]]))
    monkeypatch.setattr(spool, "free_disk", lambda _: 10)
    with pytest.raises(InputError, match="set TMPDIR"):
        spool.spooled("z", iter([Z, Z]))


@pytest.mark.parametrize("suffix", sorted(set(READERS) - {".pt", ".pth"}))
@pytest.mark.parametrize("content", [b"", b"\x93NUMP", b"\x00\xffrubbish" * 50])
def test_damaged_files_of_every_format_are_one_line(folder, suffix, content):
    (folder / f"z{suffix}").write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_embeddings(f"z{suffix}")
    assert f"z{suffix}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_truncated_tables_are_one_line(folder):
    pa, columns = parquet_columns()
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"z": columns["list"]}), "z.parquet")
    with pa.ipc.new_stream("z.arrow", pa.schema({"z": columns["list"].type})) as sink:
        sink.write_table(pa.table({"z": columns["list"]}))
    with h5py.File("z.h5", "w") as file:
        file["z"] = Z
    for name in ("z.parquet", "z.arrow", "z.h5"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) * 2 // 3])
        with pytest.raises(InputError, match=f"cannot read {name}"):
            read_embeddings(name)


def test_unknown_suffixes_and_missing_readers_say_what_to_do(folder, monkeypatch):
    (folder / "z.mat").write_bytes(b"x")
    with pytest.raises(InputError, match=r"cannot read z.mat: the readable files are .npy, .npz"):
        read_embeddings("z.mat")
    (folder / "z.h5").write_bytes(b"x")
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"needs h5py; install .*pip install 'jssl\[files\]'"):
        read_embeddings("z.h5")


def test_a_file_that_does_not_fit_is_named_and_the_rest_is_read(folder, capsys):
    for i in range(3):
        np.savez(f"z{i}.npz", embeddings=Z, labels=LABELS)
    np.savez("z3.npz", embeddings=Z[:, :2], labels=LABELS)
    (folder / "z4.npz").write_bytes(b"PK rubbish")
    np.savez("z5.npz", embeddings=NAMES[:, None], labels=LABELS)
    found = read_embeddings("z*.npz")
    assert found.z.shape == (90, 4)
    assert len(found.labels) == 90
    assert [line.split(" ")[0] for line in found.failures] == ["z3.npz", "cannot", "z5.npz:"]
    assert cli.run(["diagnose", "z*.npz", "--out", "out"]) == 2
    printed = capsys.readouterr()
    assert "90 rows in 4 dimensions" in printed.out
    assert "nearest-neighbour accuracy" in printed.out
    assert printed.err.count("jssl: ") == 3
    assert "z3.npz has 2 columns and z0.npz has 4" in printed.err
    assert json.loads((folder / "out/report.json").read_text())["settings"]["embeddings"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["one.npy"], "n >= 2"),
        (["flat.npy"], "embeddings are (n, dim)"),
        (["words.npy"], "holds no numbers"),
        (["empty"], "contains no readable file (.npy, .npz"),
        (["mixed"], "contains .csv and .npy files"),
        (["absent*.npy"], "no file matches"),
        (["z.npy", "--key", "w"], "has no 'w'; it holds z (30, 4) float32"),
        (["z.npy", "--labels", "z.npz"], "choose --label-key"),
        (["z.npy", "--pool", "max"], "invalid choice"),
    ],
)
def test_bad_files_are_one_line_and_status_2(folder, capsys, arguments, says):
    np.save("z.npy", Z)
    np.save("one.npy", Z[:1])
    np.save("flat.npy", Z[:, 0])
    np.save("words.npy", NAMES[:, None])
    np.savez("z.npz", a=LABELS, b=LABELS)
    (folder / "empty").mkdir()
    (folder / "mixed").mkdir()
    (folder / "mixed/a.npy").write_bytes(b"")
    (folder / "mixed/a.csv").write_bytes(b"")
    try:
        status = cli.run(["diagnose", *arguments, "--out", "out"])
    except SystemExit as stop:
        status = stop.code
    error = capsys.readouterr().err
    assert status == 2
    assert says in error
    assert error.count("\n") == 1
    assert not (folder / "out").exists()


def test_labels_of_some_files_only_are_not_used(folder):
    np.savez("a.npz", embeddings=Z, labels=LABELS)
    np.savez("b.npz", embeddings=Z)
    found = read_embeddings(["a.npz", "b.npz"])
    assert found.labels is None
    assert any("b.npz holds none" in note for note in found.notes)
    assert natural_order("z10") > natural_order("z9")


def test_no_file_at_all_is_refused_in_one_line():
    with pytest.raises(InputError, match="no file of embeddings is given"):
        read_embeddings([])


def test_tokens_as_rows_keep_the_number_of_their_sample(tmp_path):
    for name, count in (("a", 3), ("b", 2)):
        np.save(tmp_path / f"{name}.npy", np.ones((count, 4, 2)))
    assert read_embeddings(tmp_path, pool="mean").samples is None
    found = read_embeddings(tmp_path, pool="none").samples
    np.testing.assert_array_equal(found, np.repeat(np.arange(5), 4))
