"""Files of PyTorch that hold no matrix: one line that says what they hold and what to save."""

import warnings

import numpy as np
import pytest

from jssl.commands import main as cli
from jssl.data.embedding_files import read_embeddings, read_label_files

torch = pytest.importorskip("torch")

Z = torch.tensor(np.random.default_rng(0).normal(size=(30, 3)))
NAMES = {"torch": torch}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refusal_of(value, capsys):
    """Return the only line that `jssl diagnose` writes for a file of the value."""
    torch.save(value, "z.pt")
    assert cli.run(["diagnose", "z.pt", "--out", "out"]) == 2
    seen = capsys.readouterr()
    assert seen.err.count("\n") == 1
    assert not seen.out
    return seen.err.strip()


def matrix_of(remedy, value):
    """Return the matrix that a remedy makes of the list that was saved."""
    made = eval(remedy, NAMES, {"z": value, "embeddings": value})
    return made["embeddings"] if isinstance(made, dict) else made


LISTS = {
    "lists": (Z.tolist(), "lists"),
    "tuples": ([tuple(row) for row in Z.tolist()], "lists"),
    "pairs": ([(row, 1) for row in Z], "pairs of a tensor and a label"),
    "pairs of tensors": ([[row, torch.tensor(1)] for row in Z], "pairs of a tensor and a label"),
    "dictionaries": ([{"id": 3, "emb": row} for row in Z], "dictionaries"),
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("within", [False, True])
def test_a_list_of_rows_says_what_it_holds_and_its_remedy_makes_the_matrix(capsys, kind, within):
    value, held = LISTS[kind]
    error = refusal_of({"embeddings": value, "labels": [0] * 30} if within else value, capsys)
    assert f"z.pt: {'embeddings' if within else 'z'} is a list of {held}; save" in error
    remedy = error.partition(", ")[2]
    np.testing.assert_allclose(matrix_of(remedy, value), Z)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([torch.tensor(0.5)] * 9, "tensors of one number each; save one vector for each sample"),
        ([0.5] * 9, "numbers; save one vector for each sample, or labels as torch.tensor(z)"),
        ([Z, [0] * 30], "Tensor and list; save the embeddings as one tensor, or a dictionary"),
        ([{"id": 3}] * 9, "dictionaries; save their embeddings as one tensor"),
    ],
)
def test_other_lists_are_one_line_that_says_what_to_save(capsys, value, says):
    assert f"z.pt: z is a list of {says}" in refusal_of(value, capsys)


def test_vectors_of_several_lengths_are_said_to_differ_and_are_not_mixed(capsys):
    error = refusal_of([torch.ones(5), torch.ones(5), torch.ones(3)], capsys)
    assert "vectors whose lengths differ: 5 in entry 0, 3 in entry 2 (counted from 0)" in error
    assert "reshape" not in error
    torch.save({"z": Z, "scores": [torch.ones(20), torch.ones(10)]}, "d.pt")
    np.testing.assert_array_equal(read_embeddings("d.pt").z[:], Z)
    torch.save([torch.ones(20), torch.ones(10)], "y.pt")
    np.testing.assert_array_equal(read_label_files("y.pt")[0], np.ones(30))


def test_labels_that_cannot_be_read_are_named_and_the_rows_are_read():
    torch.save({"z": Z, "labels": [torch.tensor(1)] * 30, "history": [0.5]}, "z.pt")
    found = read_embeddings("z.pt")
    np.testing.assert_array_equal(found.z[:], Z)
    said = "'labels' of z.pt was not used as labels: it is a list that cannot become an array; save"
    assert found.unused[0].startswith(said)


@pytest.mark.parametrize("value", [{}, {"epoch": 3}, "words", []])
def test_a_file_without_tensors_says_so(capsys, value):
    assert "z.pt holds no tensors or lists of them; save" in refusal_of(value, capsys)


def test_a_model_of_torchscript_is_said_to_be_one(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.Linear(3, 2)).save("z.pt")
    assert cli.run(["diagnose", "z.pt", "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "z.pt holds a model of TorchScript and no embeddings; save those that it" in error


def test_the_remedy_of_a_nested_tensor_makes_a_matrix(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nested = torch.nested.nested_tensor([torch.ones(2, 3), torch.full((4, 3), 2.0)])
        error = refusal_of(nested, capsys)
        remedy = error.partition("such as ")[2]
        np.testing.assert_array_equal(matrix_of(remedy, nested), [[1.0] * 3, [2.0] * 3])
