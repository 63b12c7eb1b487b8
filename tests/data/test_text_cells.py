"""Cells of tables of text that are no numbers: one line that names the line and the cell."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jssl.commands import main as cli
from jssl.data.embedding_files import read_embeddings, read_label_files
from jssl.data.readers.text_cells import MISSING, is_read

ROWS = "3,4,5\n2,2,1\n7,1,3\n9,2,6\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal_of(text, capsys, encoding="utf-8"):
    """Return the only line that `jssl diagnose` writes, with status 2, for a file of the text."""
    Path("z.csv").write_text(text, encoding=encoding)
    assert cli.run(["diagnose", "z.csv", "--out", "out"]) == 2
    seen = capsys.readouterr()
    assert seen.err.count("\n") == 1
    assert not seen.out
    return seen.err


BAD = {
    "oops": "is not a number; write a number, or leave the row out",
    "?": "is not a number; write a number, or leave the row out",
    "missing": "is not a number; write a number, or leave the row out",
    "12%": "has a percent sign; write the number without it",
    "1_000": "has a separator between thousands; write it without",
    "1 000": "has a separator between thousands; write it without",
    "1'000": "has a separator between thousands; write it without",
    "１２": "is not a number in the digits 0 to 9",
}


@pytest.mark.parametrize("cell", BAD)
@pytest.mark.parametrize("line", [2, 4, 60])
def test_a_bad_cell_is_named_with_its_line_wherever_it_stands(folder, capsys, cell, line):
    lines = (ROWS * 20).splitlines()
    lines.insert(line - 2, f"1,2,{cell}")
    error = refusal_of("\n".join(["a,b,c", *lines, ""]), capsys)
    assert f"z.csv: line {line}, column c: '{cell}' {BAD[cell]}" in error


@pytest.mark.parametrize("cell", ["oops", "?", "missing", "12%"])
def test_a_first_line_of_numbers_and_a_word_is_not_dropped_as_a_header(folder, capsys, cell):
    error = refusal_of(f"1,2,{cell}\n{ROWS}", capsys)
    assert f"line 1 holds '{cell}' beside numbers such as '1'; if it is a row" in error


@pytest.mark.parametrize("cell", ["1_000", "1 000", "1'000"])
def test_a_bad_number_in_a_file_without_header_is_named_by_its_position(folder, capsys, cell):
    assert f"z.csv: line 1, cell 3: '{cell}' has" in refusal_of(f"1,2,{cell}\n{ROWS}", capsys)


def test_a_header_of_words_and_numbers_is_left_out_with_a_note(folder):
    z = np.random.default_rng(0).normal(size=(9, 3))
    for columns in ([0, 1, "age"], ["age", 2019, 2020]):
        pd.DataFrame(z, columns=columns).to_csv("z.csv", index=False)
        found = read_embeddings("z.csv")
        np.testing.assert_allclose(found.z[:], z)
        assert "and 'age', is a header and was left out" in found.notes[0]


def test_a_column_of_words_stays_one_and_one_of_words_and_few_numbers_is_noted(folder):
    Path("z.csv").write_text("name,code,a,b\nx,u1,1,2\ny,7,3,4\nz,u3,5,7\n")
    found = read_embeddings("z.csv")
    np.testing.assert_array_equal(found.z, [[1, 2], [3, 4], [5, 7]])
    assert "Column 'code' of z.csv holds words and numbers ('u1' and '7')" in found.notes[0]
    assert not any("'name'" in note for note in found.notes)


@pytest.mark.parametrize("header", [True, False])
def test_an_empty_column_is_left_out_with_a_note(folder, header):
    Path("z.csv").write_text("a,b,c\n" * header + "1,2,\n3,5,\n4,4,\n")
    found = read_embeddings("z.csv")
    np.testing.assert_array_equal(found.z, [[1, 2], [3, 5], [4, 4]])
    called = "'c'" if header else "3"
    said = f"Column {called} of z.csv is empty in the first 3 rows and was left out."
    assert said in found.notes


def test_an_empty_column_of_embeddings_beside_others_is_noted_and_other_columns_are_not(folder):
    Path("z.csv").write_text("emb_0,emb_1,emb_2,other\n1,2,,\n3,4,,\n")
    found = read_embeddings("z.csv")
    np.testing.assert_array_equal(found.z, [[1, 2], [3, 4]])
    assert "Column 'emb_2' of z.csv is empty" in found.notes[0]
    assert not any("'other'" in note for note in found.notes)


def test_a_bad_cell_at_the_top_of_the_only_column_is_named(folder, capsys):
    error = refusal_of("a\noops\n1.5\n3\n", capsys)
    assert "z.csv: line 2, column a: 'oops' is not a number" in error


def test_a_value_below_the_sample_in_an_empty_column_is_refused(folder, capsys):
    error = refusal_of("a,b,c\n" + "1,2,\n3,5,\n" * 40 + "1,2,5\n", capsys)
    assert "z.csv: line 82, column c: '5' stands below empty cells; fill these or remove" in error


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a;b\n" + "1;2\n" * 40 + "1,5;3\n", "line 42, column a: '1,5' has a decimal comma"),
        ("a;b\n" + "1,5;2\n" * 40 + "1.5;3\n", "line 42, column a: '1.5' has a decimal point, wh"),
        ("a,b\n1 000,2\n3 000,4\n", "line 2, column a: '1 000' has a separator between thousands"),
        ("1 000,2\n3 000,4\n", "line 1, cell 1: '1 000' has a separator between thousands"),
        ("a;b\n1.377;736\n2.100;5\n", "such as 1.377 beside whole numbers, whose point may be"),
        ("1.377;736\n2.100;5\n3.456;7\n", "such as 1.377 beside whole numbers, whose point may"),
        ("1,3772\n0,0552\n2,1111\n", "one column of numbers with decimal commas, such as 0,0552"),
        ("x\n1,3772\n0,5552\n", "one column of numbers with decimal commas, such as 1,3772"),
    ],
)
def test_numbers_in_another_notation_are_one_line(folder, capsys, text, says):
    assert says in refusal_of(text, capsys)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a;b\n1.377;736\n0.100;5\n", [[1.377, 736], [0.1, 5]]),
        ("a;b\n1.377;2.514\n2.100;5.250\n", [[1.377, 2.514], [2.1, 5.25]]),
        ("id;a;b\n1;1.377;2.514\n2;2.100;5.250\n", [[1.377, 2.514], [2.1, 5.25]]),
        ("a,b\n1.377,736\n2.100,5\n", [[1.377, 736], [2.1, 5]]),
    ],
)
def test_points_that_no_thousands_explain_are_decimal(folder, text, rows):
    Path("z.csv").write_text(text)
    np.testing.assert_array_equal(read_embeddings("z.csv").z, rows)


def test_two_columns_of_whole_numbers_without_header_are_noted(folder):
    Path("z.csv").write_text("1,3772\n4,5552\n2,1111\n")
    found = read_embeddings("z.csv")
    np.testing.assert_array_equal(found.z, [[1, 3772], [4, 5552], [2, 1111]])
    assert "If its commas are decimal signs, write points" in found.notes[0]
    Path("z.csv").write_text("a,b\n1,3772\n4,5552\n2,1111\n")
    assert not read_embeddings("z.csv").notes


@pytest.mark.parametrize("decimal", [".", ","])
def test_cells_are_read_as_numbers_where_pandas_reads_them(decimal):
    rng = np.random.default_rng(0)
    letters = list("0123.,eE+-_ nNaAiIfF%'")
    cells = {"".join(rng.choice(letters, size)) for size in (1, 2, 3, 4) for _ in range(400)}
    cells |= MISSING | {"inf", "-inf", "Infinity", " inf", "1e5", "1E+5", " 1.5 ", "1_0", "１"}
    for cell in sorted(cells):
        text = io.StringIO(f'1;2\n"{cell}";3\n')
        try:
            pd.read_csv(text, sep=";", header=None, decimal=decimal, dtype={0: float})
        except ValueError:
            assert not is_read(cell, decimal), cell
        else:
            assert is_read(cell, decimal), cell


def test_labels_of_words_and_numbers_that_begin_with_a_word_are_words(folder):
    Path("y.csv").write_text("label\na\nb\n1\n2\n3\n")
    assert read_label_files("y.csv", rows=5)[0] == [*"ab123"]
    Path("y.csv").write_text("a\nb\n1\n2\n3\n")
    assert read_label_files("y.csv", rows=5)[0] == [*"ab123"]


def test_names_with_a_number_before_and_after_an_underscore_are_a_header(folder):
    z = np.random.default_rng(0).normal(size=(9, 3))
    pd.DataFrame(z, columns=["0_0", "0_1", "1_0"]).to_csv("z.csv", index=False)
    np.testing.assert_allclose(read_embeddings("z.csv").z[:], z)


def test_a_table_of_words_says_that_no_column_holds_numbers(folder, capsys):
    assert "z.csv has no column of numbers" in refusal_of("a,b\nx,y\nz,w\n", capsys)
    assert "z.csv has no column of numbers" in refusal_of("x\ny\nz\n", capsys)
