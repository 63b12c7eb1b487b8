"""Which array of a file is read where nobody says so: named, or refused in one line."""

import warnings

import h5py
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from jssl.data.embedding_files import read_embeddings, read_label_files
from jssl.diagnosis.labels import read_labels
from jssl.errors import InputError

Z = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
LABELS = np.arange(30) % 3


def write_npz(path, arrays):
    np.savez(path, **arrays)


def write_hdf5(path, arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def write_pt(path, arrays):
    torch = pytest.importorskip("torch")
    torch.save({name: torch.tensor(array) for name, array in arrays.items()}, path)


def write_safetensors(path, arrays):
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


WRITERS = {
    ".npz": write_npz,
    ".h5": write_hdf5,
    ".pt": write_pt,
    ".safetensors": write_safetensors,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("suffix", WRITERS)
def test_labels_with_another_number_of_entries_are_named(folder, suffix):
    path = f"z{suffix}"
    WRITERS[suffix](path, {"embeddings": Z, "labels": LABELS[:29]})
    found = read_embeddings(path)
    assert found.labels is None
    assert f"'labels' of {path} was not used as labels: it is (29,)" in " ".join(found.notes)
    with pytest.raises(InputError, match=r"'labels' is \(29,\) .* for 30 rows"):
        read_embeddings(path, label_key="labels")


@pytest.mark.parametrize("suffix", WRITERS)
def test_labels_go_before_targets(folder, suffix):
    path = f"z{suffix}"
    WRITERS[suffix](path, {"targets": LABELS[::-1].copy(), "embeddings": Z, "labels": LABELS})
    found = read_embeddings(path)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert f"The labels are 'labels' of {path}, not 'targets'." in found.notes
    labels, notes = read_label_files(path)
    np.testing.assert_array_equal(labels, LABELS)
    assert f"The labels are 'labels' of {path}." in notes


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("dtype", [int, bool, np.float32, np.float16])
def test_one_hot_labels_of_any_number_are_used(folder, suffix, dtype):
    path, hot = f"z{suffix}", np.eye(3)[LABELS]
    WRITERS[suffix](path, {"embeddings": Z, "labels": hot.astype(dtype)})
    found = read_embeddings(path)
    np.testing.assert_array_equal(found.labels, hot)
    assert f"The labels are 'labels' of {path}." in found.notes


def test_one_hot_labels_of_bfloat16_are_used(folder):
    torch = pytest.importorskip("torch")
    hot = torch.eye(3)[torch.tensor(LABELS)].bfloat16()
    torch.save({"embeddings": torch.tensor(Z), "labels": hot}, "z.pt")
    found = read_embeddings("z.pt").labels
    assert read_labels(found, len(Z)).classes.tolist() == LABELS.tolist()


def test_labels_in_one_column_are_used_and_are_no_embeddings(folder):
    np.savez("z.npz", X=Z, y=LABELS[:, None])
    found = read_embeddings("z.npz")
    np.testing.assert_array_equal(found.labels.ravel(), LABELS)
    np.testing.assert_array_equal(found.z, Z)


@pytest.mark.parametrize("suffix", WRITERS)
def test_the_array_that_was_read_is_named_where_there_are_several(folder, suffix):
    path = f"a{suffix}"
    WRITERS[suffix](path, {"X": Z, "weight": np.ones(30)})  # weights of rows, not of a model
    found = read_embeddings(path)
    assert found.key == "X"
    assert f"The embeddings are 'X' of {path}." in found.notes
    WRITERS[suffix](path, {"X": Z})
    assert read_embeddings(path).notes == ()


def test_another_array_in_a_later_file_of_a_set_is_named(folder):
    np.savez("a.npz", X=Z, n=1)
    np.savez("b.npz", features=Z, n=1)
    np.savez("c.npz", features=Z, n=1)
    notes = read_embeddings(["a.npz", "b.npz", "c.npz"]).notes
    assert notes == ("The embeddings are 'X' of a.npz.", "The embeddings are 'features' of b.npz.")


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize(
    "names",
    [
        ["weight", "bias"],
        ["weight", None],
        ["encoder.fc.weight", "encoder.fc.bias"],
        ["prototypes", "head.bias"],
        ["embed", "bn.running_mean"],
    ],
)
def test_the_weights_of_a_model_are_refused_without_a_key(folder, suffix, names):
    path = f"model{suffix}"
    arrays = {name: a for name, a in zip(names, (Z, Z[0]), strict=True) if name is not None}
    WRITERS[suffix](path, arrays)
    with pytest.raises(InputError, match=r"weights of a model.* choose with --key: it holds"):
        read_embeddings(path)
    np.testing.assert_array_equal(read_embeddings(path, key=names[0]).z[:], Z)


def test_a_checkpoint_of_pytorch_is_refused_and_embeddings_beside_weights_are_read(folder):
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(4, 4)
    optimizer = torch.optim.Adam(model.parameters())
    saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    torch.save(saved, "c.pt")
    with pytest.raises(InputError, match=r"such as 'model/weight'.* --key"):
        read_embeddings("c.pt")
    torch.save(saved | {"embeddings": torch.tensor(Z)}, "c.pt")
    assert read_embeddings("c.pt").key == "embeddings"
    torch.save(torch.tensor(Z), "weight.pt")
    np.testing.assert_array_equal(read_embeddings("weight.pt").z[:], Z)


def test_columns_called_as_weights_are_no_model(folder):
    table = pd.DataFrame({"emb": list(Z), "body.weight": np.ones(30), "bias": np.ones(30)})
    table.to_parquet("z.parquet")
    np.testing.assert_array_equal(read_embeddings("z.parquet").z[:], Z)


def test_labels_and_index_are_no_columns_of_a_wide_table(folder):
    table = pd.DataFrame(Z, columns=list("abcd")).assign(label=LABELS.astype(float))
    table.index = np.linspace(0, 1, 30)
    table.to_parquet("z.parquet")
    found = read_embeddings("z.parquet")
    np.testing.assert_array_equal(found.z[:], Z)
    assert list(found.labels) == LABELS.tolist()


@pytest.mark.parametrize("nested", [False, True])
def test_a_list_of_uneven_tensors_is_said_with_its_shapes(folder, nested):
    torch = pytest.importorskip("torch")
    parts = [torch.ones(3, 4), torch.ones(5, 6)]
    torch.save({"z": parts} if nested else parts, "list.pt")
    with pytest.raises(InputError, match=r"different shapes, \(3, 4\) and \(5, 6\); save"):
        read_embeddings("list.pt")


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.99])
def test_a_truncated_file_of_pytorch_is_said_to_be_cut(folder, kept):
    torch = pytest.importorskip("torch")
    torch.save(torch.tensor(Z), "z.pt")
    whole = (folder / "z.pt").read_bytes()
    (folder / "z.pt").write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(InputError, match="it is cut off before its end"):
        read_embeddings("z.pt")


def test_a_tensor_without_values_is_one_line(folder):
    torch = pytest.importorskip("torch")
    torch.save(torch.empty(4, 4, device="meta"), "z.pt")
    with pytest.raises(InputError, match="device meta, which has no values"):
        read_embeddings("z.pt")


def test_quantised_tensors_are_read_without_a_warning(folder):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(torch.quantize_per_tensor(torch.tensor(Z), 0.1, 0, torch.qint8), "z.pt")
    np.testing.assert_allclose(read_embeddings("z.pt").z[:], Z, atol=0.051)
