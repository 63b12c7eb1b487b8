"""Files of one set whose columns have other names, or the same names in another order."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jssl.commands import main as cli
from jssl.data.embedding_files import read_embeddings

Z = np.random.default_rng(0).normal(size=(30, 3))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(path, columns, z=Z, **options):
    table = pd.DataFrame(z, columns=columns)
    if path.endswith(".parquet"):
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, **options)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("kind", [float, int])
def test_the_same_columns_in_another_order_are_refused_by_the_first_that_differs(
    capsys, suffix, kind
):
    z = (100 * Z).astype(kind)
    write(f"p1{suffix}", ["a", "b", "c"], z)
    write(f"p2{suffix}", ["a", "c", "b"], z[:, [0, 2, 1]])
    assert cli.run(["diagnose", f"p1{suffix}", f"p2{suffix}", "--out", "out"]) == 2
    said = f"p2{suffix} calls column 2 'c' and p1{suffix} 'b'; write the columns of all files in "
    assert f"jssl: {said}one order\n" in capsys.readouterr().err
    found = read_embeddings([f"p1{suffix}", f"p2{suffix}"])
    np.testing.assert_array_equal(found.z[:], z)
    assert found.files == (Path(f"p1{suffix}"),)


def test_a_name_at_another_position_is_refused_where_other_names_differ_too():
    write("p1.csv", ["a", "b", "c"])
    write("p2.csv", ["d", "a", "b"])
    assert "calls column 1 'd' and p1.csv 'a'" in read_embeddings(["p1.csv", "p2.csv"]).failures[0]


def test_columns_that_number_themselves_in_another_order_are_refused():
    write("p1.parquet", ["0", "1", "2"])
    write("p2.parquet", ["2", "1", "0"], Z[:, ::-1])
    found = read_embeddings(["p1.parquet", "p2.parquet"])
    assert "calls column 1 '2'" in found.failures[0]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["d0", "d1", "d2"], ["a", "b", "c"]),
        (["a", "b", "d2"], ["a", "b", "c"]),
        (["0", "1", "2"], ["1", "2", "3"]),
    ],
)
def test_other_names_are_joined_by_position_with_one_caveat(first, second):
    write("p1.csv", first)
    for i in (2, 3):
        write(f"p{i}.csv", second)
    found = read_embeddings(["p1.csv", "p2.csv", "p3.csv"])
    np.testing.assert_allclose(found.z[:], np.concatenate([Z, Z, Z]))
    assert not found.failures
    i = next(i for i in range(3) if first[i] != second[i])
    said = f"p2.csv calls column {i + 1} '{second[i]}' and p1.csv '{first[i]}'; the columns are "
    (note,) = [note for note in found.notes if "calls column" in note]
    assert note.startswith(f"{said}matched by position.")


def test_files_without_names_or_with_the_same_are_joined_without_a_caveat():
    write("p1.csv", ["a", "b", "c"], header=False)
    write("p2.csv", ["a", "b", "c"])
    write("p3.parquet", ["a", "b", "c"])
    np.save("p4.npy", Z)
    found = read_embeddings(["p1.csv", "p2.csv", "p3.parquet", "p4.npy"])
    np.testing.assert_allclose(found.z[:], np.concatenate([Z] * 4))
    assert not found.failures
    assert not any("calls column" in note for note in found.notes)


def test_labels_between_the_columns_do_not_change_their_names():
    pd.DataFrame(Z, columns=["a", "b", "c"]).assign(label=0).to_csv("p1.csv", index=False)
    table = pd.DataFrame(Z, columns=["a", "b", "c"])
    table.insert(0, "label", 1)
    table.to_csv("p2.csv", index=False)
    found = read_embeddings(["p1.csv", "p2.csv"])
    assert len(found.z) == 60
    assert not any("calls column" in note for note in found.notes)


def test_files_that_a_shell_lists_are_in_natural_order_and_another_order_is_kept():
    """Twelve parts, alphabetically 0, 1, 10, 11, 2 ...: labels and views are in natural order."""
    names = [f"part_{i}.npy" for i in range(12)]
    for i, name in enumerate(names):
        np.save(name, np.full((2, 1), float(i)))
    natural = np.repeat(np.arange(12.0), 2)
    for given in (sorted(names), names, "part_*.npy"):
        np.testing.assert_array_equal(read_embeddings(given).z[:, 0], natural)
    asked = ["part_2.npy", "part_0.npy", "part_10.npy"]
    np.testing.assert_array_equal(read_embeddings(asked).z[:, 0], [2, 2, 0, 0, 10, 10])
