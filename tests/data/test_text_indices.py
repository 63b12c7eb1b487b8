"""Columns of tables of text that number the rows, and first lines that number the columns."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jssl.data.embedding_files import read_embeddings, read_label_files
from jssl.errors import InputError

Z = np.random.default_rng(0).normal(size=(40, 3))
TABLE = pd.DataFrame(Z, columns=list("abc"))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(table, **options):
    table.to_csv("z.csv", **{"index": False, **options})
    found = read_embeddings("z.csv")
    return found.z[:], " ".join(found.notes)


@pytest.mark.parametrize("name", ["id", "ID", "index", "idx", "row_id", "sample_id", "Unnamed: 0"])
@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("numbers", [np.arange(40), np.arange(40) + 1, 7 * np.arange(40)[::-1]])
def test_a_column_called_id_is_left_out_and_the_note_says_how_to_keep_it(name, place, numbers):
    table = TABLE.copy()
    table.insert(place, name, numbers)
    z, notes = read(table)
    np.testing.assert_allclose(z, Z)
    unnamed = f"{'The first column' if place == 0 else 'Column 4'} of z.csv has no name"
    assert (unnamed if name == "Unnamed: 0" else f"Column '{name}' of z.csv numbers the") in notes
    assert "left out. If it is a coordinate, give it a" in notes


def test_an_index_of_pandas_and_an_id_are_both_left_out():
    z, notes = read(TABLE.assign(id=np.arange(40)), index=True)
    np.testing.assert_allclose(z, Z)
    assert "The first column of z.csv has no name" in notes
    assert "Column 'id' of z.csv numbers the rows" in notes


@pytest.mark.parametrize("name", ["row", "x"])
@pytest.mark.parametrize("start", [0, 1, 500])
def test_another_column_that_counts_is_kept_and_noted(name, start):
    z, notes = read(pd.concat([pd.Series(np.arange(40) + start, name=name), TABLE], axis=1))
    np.testing.assert_allclose(z, np.column_stack([np.arange(40) + start, Z]))
    assert f"Column '{name}' of z.csv holds {start}, {start + 1}, {start + 2}, ... in its" in notes
    assert "call it id or remove it" in notes


def test_a_first_column_that_counts_without_header_is_kept_and_noted():
    z, notes = read(TABLE, index=True, header=False)
    np.testing.assert_allclose(z, np.column_stack([np.arange(40), Z]))
    assert "Column 1 of z.csv holds 0, 1, 2, ... in its first 32 rows and is a coordinate" in notes


def test_an_id_that_is_missing_in_a_row_is_left_out():
    z, notes = read(TABLE.assign(id=[None, *range(39)]))
    np.testing.assert_allclose(z, Z)
    assert "Column 'id' of z.csv numbers the rows" in notes


def test_a_table_of_an_id_and_words_holds_no_embeddings():
    pd.DataFrame({"id": range(4), "name": [*"abcd"]}).to_csv("z.csv", index=False)
    with pytest.raises(InputError, match="has no column of numbers for the embeddings, apart from"):
        read_embeddings("z.csv")


def test_an_id_that_repeats_is_kept_and_noted():
    z, notes = read(TABLE.assign(id=np.arange(40) // 2))
    assert z.shape == (40, 4)
    assert "Column 'id' of z.csv holds 0, 0, 1, ... in its" in notes


def test_whole_numbers_that_do_not_count_are_coordinates_without_a_note():
    z, notes = read(
        pd.DataFrame(np.random.default_rng(1).integers(0, 99, (40, 3)), columns=[*"abc"])
    )
    assert z.shape == (40, 3)
    assert not notes


def test_an_id_beside_labels_is_left_out():
    pd.DataFrame({"id": range(4), "species": [*"abca"]}).to_csv("y.csv", index=False)
    assert read_label_files("y.csv", rows=4)[0] == [*"abca"]


def test_a_header_of_floats_from_0_is_left_out_with_a_note():
    z, notes = read(pd.DataFrame(Z, columns=[0.0, 1.0, 2.0]))
    np.testing.assert_allclose(z, Z)
    assert "is 0.0 to 2.0, as a header that numbers the columns" in notes


@pytest.mark.parametrize("columns", [[10, 11, 12], [5, 10, 15], [3.0, 2.0, 1.0]])
def test_a_first_line_in_equal_steps_is_a_row_with_a_note_or_a_header_above_an_index(columns):
    table = pd.DataFrame(Z, columns=columns)
    z, notes = read(table)
    np.testing.assert_allclose(z, [columns, *Z])
    assert f"is {columns[0]} to {columns[-1]} in equal steps and was read as a row" in notes
    z, notes = read(table, index=True)
    np.testing.assert_allclose(z, Z)
    assert "It is a header and was left out" in notes


def test_a_row_that_begins_with_a_word_and_a_count_is_no_header():
    Path("z.csv").write_text("i1.png,1\ni2.png,0\ni3.png,2\n")
    found = read_embeddings("z.csv")
    np.testing.assert_array_equal(found.z, [[1], [0], [2]])
    assert "has no header" in found.notes[0]
