"""Tables of text as pandas, Excel and NumPy write them: the right rows, or one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jssl.commands import main as cli
from jssl.data.embedding_files import read_embeddings, read_label_files
from jssl.errors import InputError

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(40, 16))
LABELS = np.arange(40) % 3
NAMES = np.array(["c", "d", "e"])[LABELS]
TABLE = pd.DataFrame(Z)
WITH_LABELS = TABLE.assign(label=LABELS)
WITH_NAMES = pd.concat([pd.Series(NAMES, name="file"), TABLE], axis=1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("table", [TABLE, WITH_LABELS, WITH_NAMES], ids=["z", "labels", "names"])
@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("decimal", [".", ","])
def test_a_table_as_pandas_writes_it_has_its_rows_and_columns(
    folder, suffix, table, index, separator, decimal
):
    path = f"z{suffix}"
    table.to_csv(path, index=index, sep=separator, decimal=decimal)
    found = read_embeddings(path)
    np.testing.assert_allclose(found.z[:], Z, rtol=1e-12)
    notes = " ".join(found.notes)
    assert ("as the index that pandas writes; it was left out" in notes) == index
    assert ("is 0 to 15, as a header" in notes) == (table is TABLE and not index)
    assert ("decimal commas" in notes) == (decimal == ",")
    assert ("between its columns" in notes) == (separator != {".csv": ",", ".tsv": "\t"}[suffix])
    assert (found.labels == LABELS.tolist()) == (table is WITH_LABELS)


def test_a_shuffled_index_of_pandas_is_left_out_and_a_named_column_is_not(folder):
    TABLE[::-1].to_csv("z.csv")
    np.testing.assert_allclose(read_embeddings("z.csv").z[:], Z[::-1], rtol=1e-12)
    TABLE.to_csv("named.csv", index_label="x")
    assert read_embeddings("named.csv").z.shape == (40, 17)


def test_a_first_line_of_counts_over_whole_numbers_is_a_row_and_this_is_said(folder):
    pd.DataFrame(np.arange(30).reshape(10, 3)[::-1]).to_csv("z.csv", index=False)
    found = read_embeddings("z.csv")
    assert found.z.shape == (11, 3)
    assert "0 to 2 and was read as a row, because the other lines are whole" in found.notes[0]


@pytest.mark.parametrize(("columns", "start"), [(3, 1), (16, 1), (2, 0), (1, 0)])
def test_a_first_line_that_numbers_the_columns_is_a_header_of_decimals(folder, columns, start):
    z = Z[:, :columns]
    pd.DataFrame(z, columns=range(start, start + columns)).to_csv("z.csv", index=False)
    found = read_embeddings("z.csv")
    np.testing.assert_allclose(found.z[:], z, rtol=1e-12)
    last = f" to {start + columns - 1}" if columns > 1 else ""
    assert f"is {start}{last}, as a header that numbers the columns" in found.notes[0]


@pytest.mark.parametrize("first", ["1,2", "1,2,4", "2,3,4"])
def test_a_first_line_of_other_whole_numbers_is_a_row(folder, first):
    Path("z.csv").write_text(f"{first}\n" + "\n".join([first.replace(",", ".5,") + ".5"] * 9))
    assert read_embeddings("z.csv").z.shape[0] == 10


def test_three_decimals_after_a_comma_are_read_where_a_number_below_1_shows_what_they_are(folder):
    Path("z.csv").write_text("a;b\n12,573;-3,210\n1,500;0,750\n")
    np.testing.assert_array_equal(read_embeddings("z.csv").z, [[12.573, -3.21], [1.5, 0.75]])


def test_a_table_with_words_and_without_header_keeps_its_first_row(folder):
    WITH_NAMES.to_csv("z.csv", index=False, header=False)
    found = read_embeddings("z.csv")
    np.testing.assert_allclose(found.z[:], Z, rtol=1e-12)
    assert "z.csv has no header" in found.notes[0]


def test_spaces_of_numpy_separate_columns_and_those_of_words_do_not(folder):
    np.savetxt("z.csv", Z)
    np.testing.assert_allclose(read_embeddings("z.csv").z[:], Z)
    for text in ("class 1\nclass 2\n", "Paris, France\nRome, Italy\n"):
        Path("y.tsv").write_text(text)
        assert read_label_files("y.tsv") == (text.splitlines(), [])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,2,3\n4,5\n6,7,8\n", "z.csv: line 2 has 2 of 3 cells"),
        ("1,2,3\n4,5,6\n6,7,8,9\n", "z.csv: line 3 has 4 cells, and the first line 3"),
        ('a,b\n"1,5","2,5"\n"1,5"\n"3,5","1,5"\n', "z.csv: line 3 has 1 of 2 cells"),
        ("1.5;2,5\n2.5;3,5\n", "decimal points (1.5) and with commas (2,5)"),
        ("1.5;2;3\n4;5\n6;7;8\n", "z.csv: line 2 has 2 of 3 cells"),
        ('a,b\n"1,234.5","2.25"\n"3.5","4,000.0"\n', "thousands (1,234.5); write them without"),
        ('"1,234.5",2.25\n3.5,"4,000.0"\n', "thousands (1,234.5); write them without"),
        ("1.234,5;2,25\n3,5;4.000,0\n", "thousands (1.234,5); write them without"),
        ("a\tb\n-1,234,567\t2\n3\t4\n", "thousands (-1,234,567); write them without"),
        ('a,b\n"12,573","-3,210"\n"1,500",750\n', "such as 12,573, whose comma may be a decimal"),
    ],
)
def test_uneven_rows_and_mixed_decimals_are_one_line_with_their_place(folder, capsys, text, says):
    Path("z.csv").write_text(text)
    assert cli.run(["diagnose", "z.csv", "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_missing_value_in_the_first_row_does_not_drop_its_column(folder):
    places = {"1.5,,2.5\n1,2,3\n": "line 1, cell 2", "a,b,c\n1.5,,2.5\n1,2,3\n": "line 2, column b"}
    for text, place in places.items():
        Path("z.csv").write_text(text)
        with pytest.raises(InputError, match=f"z.csv: {place}: it is empty; write a number"):
            read_embeddings("z.csv")


@pytest.mark.parametrize("header", ["label", "species", "0"])
def test_a_header_over_labels_in_words_is_no_label(folder, header):
    pd.Series(NAMES, name=header).to_csv("y.csv", index=False)
    labels, notes = read_label_files("y.csv", rows=40)
    assert labels == NAMES.tolist()
    assert f"The first line of y.csv, '{header}', is a header" in notes[0]


def test_labels_without_header_keep_their_first(folder):
    pd.Series(NAMES).to_csv("y.csv", index=False, header=False)
    assert read_label_files("y.csv", rows=40) == (NAMES.tolist(), [])
    pd.Series(LABELS).to_csv("y.csv", index=False, header=False)
    labels, notes = read_label_files("y.csv", rows=40)
    assert labels.ravel().tolist() == LABELS.tolist()
    assert not notes


def test_an_index_beside_labels_is_left_out(folder):
    pd.Series(LABELS).to_csv("y.csv")
    labels, notes = read_label_files("y.csv", rows=40)
    assert labels.ravel().tolist() == LABELS.tolist()
    assert "as the index that pandas writes" in notes[0]


def test_one_label_too_many_that_may_be_a_header_is_one_line(folder):
    pd.Series(LABELS).to_csv("y.csv", index=False)
    with pytest.raises(InputError, match="holds 41 labels for 40 rows; if its first line is a"):
        read_label_files("y.csv", rows=40)


def test_a_column_called_y_holds_labels_unless_another_is_called_x(tmp_path):
    z, labels = np.random.default_rng(0).normal(size=(30, 3)), np.arange(30) % 3
    table = pd.DataFrame(z, columns=["f0", "f1", "f2"])
    table.assign(y=labels).to_csv(tmp_path / "a.csv", index=False)
    table.assign(label=labels, y=labels).to_csv(tmp_path / "b.csv", index=False)
    for name in ("a.csv", "b.csv"):
        found = read_embeddings(tmp_path / name)
        assert found.z.shape == (30, 3)
        assert [int(each) for each in found.labels] == labels.tolist()
    pd.DataFrame(z, columns=["x", "y", "z"]).to_csv(tmp_path / "c.csv", index=False)
    assert read_embeddings(tmp_path / "c.csv").z.shape == (30, 3)
