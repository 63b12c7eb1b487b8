"""Labels beside the embeddings that cannot be used: a caveat, and an error only where asked for."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import jssl
from jssl.commands import main as cli
from jssl.data.archives import load_arrays
from jssl.data.embedding_files import read_embeddings, read_labels_of
from jssl.errors import InputError

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(60, 4))
NAMES = pd.Series(np.array(["cat", "dog", "owl"])[np.arange(60) % 3]).astype(object).to_numpy()

UNUSABLE = {
    "objects": (NAMES, r"it holds Python objects.*numpy.array\(labels, dtype=str\)"),
    "floats": (np.linspace(0, 1, 60), "row 1 holds 0.0169492, which is not a class"),
    "one class": (np.zeros(60, int), "only one class, 0"),
    "no class": (np.full(60, -1), "labels contain no class"),
    "short": (np.arange(59) % 3, r"it is \(59,\) int64, for 60 rows"),
    "complex": (np.arange(60) * 1j, "must be integers or strings; got complex128"),
    "dates": (np.arange(60).astype("datetime64[D]"), "must be integers or strings; got datetime64"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("defect", UNUSABLE)
@pytest.mark.parametrize("name", ["labels", "targets"])
def test_labels_that_nobody_asked_for_are_a_caveat(folder, capsys, defect, name):
    labels, said = UNUSABLE[defect]
    said = said.replace("(labels, dtype", f"({name}, dtype")
    np.savez("o.npz", z=Z, **{name: labels})
    for arguments in ([], ["--key", "z"]):
        assert cli.run(["diagnose", "o.npz", *arguments, "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        why = [line for line in report["caveats"] if line.startswith(f"'{name}' of o.npz was not")]
        assert len(why) == 1
        assert re.search(said, why[0])
        assert not any("The labels are" in line for line in report["caveats"])
    assert cli.run(["diagnose", "o.npz", "--label-key", name, "--json"]) == 2
    asked = capsys.readouterr().err
    assert asked.count("\n") == 1
    if defect != "short":
        np.savez("y.npz", **{name: labels}, other=Z)
        assert cli.run(["diagnose", "o.npz", "--labels", "y.npz", "--json"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    if defect != "objects":
        with pytest.raises(InputError, match="labels"):
            jssl.diagnose(Z, labels)


def test_other_labels_are_taken_instead_of_objects(folder):
    np.savez("o.npz", z=Z, labels=NAMES, targets=np.arange(60) % 3)
    found = read_embeddings("o.npz")
    np.testing.assert_array_equal(found.labels, np.arange(60) % 3)
    assert "The labels are 'targets' of o.npz." in found.notes
    assert any("'labels' of o.npz was not used" in line for line in found.notes)


def test_classes_that_are_spread_over_files_are_used(folder, capsys):
    for i in range(2):
        np.savez(f"z{i}.npz", z=RNG.normal(size=(60, 4)), labels=np.full(60, i))
    assert cli.run(["diagnose", "z0.npz", "z1.npz", "--out", "out"]) == 0
    printed = capsys.readouterr().out
    assert "nearest-neighbour accuracy" in printed
    assert "was not used" not in printed


def test_labels_that_a_split_needs_are_an_error_that_says_why(folder, capsys):
    np.savez("good.npz", z=Z, labels=np.arange(60) % 3)
    for labels in (NAMES, np.linspace(0, 1, 60)):
        np.savez("bad.npz", z=Z, labels=labels)
        for first, second in (("good", "bad"), ("bad", "good")):
            assert cli.run(["diagnose", f"{first}.npz", "--test", f"{second}.npz", "--json"]) == 2
            assert "'labels' of bad.npz was not used as labels" in capsys.readouterr().err


def test_objects_are_never_unpickled(folder):
    class Trap:
        def __reduce__(self):
            return exec, ("raise SystemExit",)

    trap = np.empty(60, object)
    trap[:] = [Trap() for _ in range(60)]
    np.savez("o.npz", z=Z, labels=trap)
    np.testing.assert_array_equal(read_embeddings("o.npz").z, Z)
    for names in (None, ["labels"]):
        with pytest.raises(InputError, match="holds Python objects"):
            load_arrays("o.npz", names)
    np.savez("only.npz", z=trap)
    with pytest.raises(InputError, match=r"cannot read only.npz \(it holds Python objects"):
        read_embeddings("only.npz")
    np.savez("two.npz", z=np.array([[{}]]), n=np.ones(3))
    with pytest.raises(InputError, match=r"two.npz: z holds Python objects"):
        read_embeddings("two.npz")


def test_labels_in_columns_and_in_vectors_are_joined(folder):
    labels = np.arange(60) % 3
    np.savez("a.npz", z=Z, labels=labels)
    np.savez("b.npz", z=Z, labels=labels[:, None])
    found = read_embeddings(["a.npz", "b.npz"]).labels
    np.testing.assert_array_equal(found, np.tile(labels, 2))


def test_labels_of_a_set_in_which_a_file_has_none_are_not_named(folder):
    labels = np.arange(60) % 3
    np.savez("a.npz", z=Z, labels=labels)
    np.savez("none.npz", z=Z)
    np.savez("objects.npz", z=Z, labels=NAMES)
    np.savez("hot.npz", z=Z, labels=np.eye(3)[labels])
    for other, said in (
        ("none", "none.npz holds none."),
        ("objects", "objects.npz holds none that can be used."),
        (
            "hot",
            "the labels of several files do not fit together: (60,), (60, 3); save one per row.",
        ),
    ):
        found = read_embeddings(["a.npz", f"{other}.npz"])
        assert found.labels is None
        assert f"Labels were not used: {said}" in found.notes
        assert not any("The labels are" in line for line in found.notes)


def test_one_hot_labels_of_several_files_are_joined(folder):
    labels = np.arange(60) % 3
    np.savez("a.npz", z=Z, labels=np.eye(3)[labels])
    np.savez("b.npz", z=Z, labels=np.eye(3, dtype=int)[labels])
    assert read_embeddings(["a.npz", "b.npz"]).labels.argmax(1).tolist() == [*labels] * 2
    np.savez("c.npz", z=Z, labels=np.eye(4)[labels])
    with pytest.raises(InputError, match=r"do not fit together: \(60, 3\), \(60, 4\)"):
        read_embeddings(["a.npz", "c.npz"], label_key="labels")
    with pytest.raises(InputError, match=r"do not fit together: \(60, 3\), \(60, 4\)"):
        read_labels_of(["a.npz", "c.npz"])
