"""Files of text in other encodings, with comments, open quotation marks, or that are no text."""

import bz2
import gzip
import lzma
from pathlib import Path

import numpy as np
import pytest

from jssl.commands import main as cli
from jssl.data.embedding_files import read_embeddings, read_label_files

Z = np.random.default_rng(0).normal(size=(50, 3))
TEXT = "a,b,c\n" + "".join(",".join(map(repr, map(float, row))) + "\n" for row in Z)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(content):
    Path("z.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_embeddings("z.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_every_encoding_with_a_mark_and_every_line_break_is_read(encoding, line_break, last):
    text = TEXT if last else TEXT.rstrip("\n")
    found = read(text.replace("\n", line_break).encode(encoding))
    np.testing.assert_array_equal(found.z, Z)
    assert not found.notes


def test_vertical_bars_separate_columns():
    np.testing.assert_array_equal(read(TEXT.replace(",", "|")).z, Z)
    framed = "".join(f"|{line}|\n" for line in TEXT.replace(",", "|").splitlines())
    np.testing.assert_array_equal(read(framed).z, Z)


@pytest.mark.parametrize("lines", [1, 2, 40])
@pytest.mark.parametrize("separator", [",", " ", "\t"])
def test_comments_at_the_top_as_numpy_writes_them_are_left_out_with_a_note(lines, separator):
    np.savetxt("z.csv", Z, delimiter=separator, header="\n".join(['made "by 3 hands'] * lines))
    found = read_embeddings("z.csv")
    np.testing.assert_allclose(found.z[:], Z, rtol=1e-15)
    said = "The first line of z.csv is a" if lines == 1 else f"first {lines} lines of z.csv are"
    assert said in found.notes[0]


def test_names_in_a_comment_are_those_of_the_columns():
    labels = np.arange(50) % 3
    np.savetxt("z.csv", np.c_[Z, labels], delimiter=",", header="a,b,c,label", fmt="%.17g")
    found = read_embeddings("z.csv")
    np.testing.assert_array_equal(found.z[:], Z)
    assert found.labels == labels.tolist()
    assert "Line 1 of z.csv, which begins with #, holds the names" in found.notes[0]


def test_words_that_begin_with_a_hash_are_labels():
    Path("y.csv").write_text("#cats\n#dogs\n#cats\n")
    assert read_label_files("y.csv", rows=3) == (["#cats", "#dogs", "#cats"], [])


def test_a_line_that_names_the_separator_for_excel_is_left_out():
    found = read("sep=;\n" + TEXT.replace(",", ";"))
    np.testing.assert_array_equal(found.z, Z)


def test_line_breaks_within_quotation_marks_are_part_of_a_cell():
    lines = TEXT.splitlines()
    text = '"the\nname",' + lines[0] + "\n"
    text += "".join(f'"two\nlines of ""words""",{line}\n' for line in lines[1:])
    np.testing.assert_array_equal(read(text).z, Z)
    assert read(text.rstrip("\n")).z.shape == (50, 3)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('a,b\n"1,2\n3,4\n5,6\n', "line 2 opens a quotation mark that is not closed"),
        ("a,b\n" + "3,4\n" * 50 + '"1,2\n3,4\n', "line 52 opens a quotation mark that is not"),
        ('a,b\n"1,2\n' + "3,4\n" * 50000, "line 2 opens a quotation mark that is not closed"),
        (
            "a,b\n3,4\n" * 30 + '"1,2\n' + "3,4\n" * 50000,
            "line 61 opens a cell of more than 131,072",
        ),
        (gzip.compress(TEXT.encode()), "is compressed with gzip; unpack it with gunzip"),
        (bz2.compress(TEXT.encode()), "is compressed with bzip2; unpack it with bunzip2"),
        (lzma.compress(TEXT.encode()), "is compressed with xz; unpack it with unxz"),
        (b"PK\x03\x04" + bytes(30), "is a zip archive, as a workbook of Excel is; save it as"),
        (TEXT.encode("utf-16-le"), "holds zero bytes, so it is not text in UTF-8; save it as"),
        ("f,a,b\né,1.5,2\nb,3,4\n".encode("latin-1"), "is not text in UTF-8 (invalid"),
        ("a,b,c\n", "holds a header ('a', 'b', 'c') and no rows; write them below it"),
        ("# x\na,b\n1.5,2\n3,q\n", "line 4, column b: 'q' is not a number"),
        ("a,b\n1.5,2\n# x\n3,4\n", "line 3 has 1 of 2 cells"),
        (("a,b\n" + "1.5,2\n" * 50 + "x,3\n").encode("utf-16"), "line 52, column a: 'x' is not a"),
        (("a,b\n" + "1.5,2\n" * 50 + "3").encode("utf-16"), "line 52 has 1 of 2 cells"),
        ("a,b\r" + "1.5,2\r" * 50 + "3", "ends within a row, after 1 of 2 values"),
    ],
)
def test_what_is_no_table_is_one_line_that_says_what_it_is(capsys, content, says):
    Path("z.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert cli.run(["diagnose", "z.csv", "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "z.csv" in error
    assert error.count("\n") == 1
