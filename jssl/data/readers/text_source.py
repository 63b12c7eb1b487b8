"""The lines of a file of text: its encoding, the sample that is looked at, and what is no text."""

import codecs
import csv
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

from jssl.data.readers.text_cells import is_number
from jssl.errors import InputError

SAMPLE = 32
"""Lines from which the layout of a table is taken. No later line is evidence for it."""

_LIMIT = 1000
"""Lines up to which the sample is extended while a quotation mark is open."""
_HEAD = 2**16
_EXCEL = re.compile(r"sep=.\s*", re.IGNORECASE)
"""A first line in which Excel names the separator."""
_END = "\x03"
"""A line that is added after the last one: it is a row of its own unless a quotation is open."""
_PACKED = {
    b"\x1f\x8b": "is compressed with gzip; unpack it with gunzip",
    b"BZh": "is compressed with bzip2; unpack it with bunzip2",
    b"\xfd7zXZ\0": "is compressed with xz; unpack it with unxz",
    b"\x28\xb5\x2f\xfd": "is compressed with Zstandard; unpack it with unzstd",
    b"PK\x03\x04": "is a zip archive, as a workbook of Excel is; save it as text",
}
_ENCODINGS = {  # that of UTF-32 begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class Source(NamedTuple):
    """A file of text.

    Attributes:
        path: of the file.
        encoding: of its characters.
        line_break: the byte at which lines end; None where a character has several bytes.
    """

    path: Path
    encoding: str
    line_break: bytes | None

    def open(self, skip: int = 0, errors: str = "strict") -> IO[str]:
        """Return the file, open after the first lines."""
        file = self.path.open(newline="", encoding=self.encoding, errors=errors)
        try:
            for _ in range(skip):
                file.readline()
        except UnicodeDecodeError:
            file.close()
            raise
        return file


def source_of(path: Path) -> Source:
    r"""Return a file with its encoding.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "z.csv")
        ...     _ = path.write_bytes(b"1,2\r3,4\r")
        ...     source_of(path).line_break
        b'\r'

    Raises:
        InputError: for a compressed file and one that is no text.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for start, says in _PACKED.items():
        if head.startswith(start):
            message = f"{path} {says}"
            raise InputError(message)
    for mark, encoding in _ENCODINGS.items():
        if head.startswith(mark):
            return Source(path, encoding, None)
    if b"\0" in head:
        message = f"{path} holds zero bytes, so it is not text in UTF-8; save it as text in UTF-8"
        raise InputError(message)
    return Source(path, "utf-8-sig", b"\r" if b"\r" in head and b"\n" not in head else b"\n")


def first_lines(source: Source) -> tuple[list[str], list[str], bool]:
    r"""Return the comments at the top, the first lines below, and whether these are all lines.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "z.csv")
        ...     _ = path.write_bytes(b"# by hand\n1,2\n")
        ...     first_lines(source_of(path))
        (['# by hand\n'], ['1,2\n'], True)

    Comments begin with #, or name the separator for Excel, and stand above numbers: words may begin
    with #. A cell of several lines is not cut.
    """
    comments: list[str] = []
    lines: list[str] = []
    quotes, whole = 0, True
    with source.open(errors="replace") as file:
        for line in file:
            if not lines and (line.startswith("#") or (not comments and _EXCEL.fullmatch(line))):
                comments.append(line)
                continue
            if len(lines) >= SAMPLE and (quotes % 2 == 0 or len(lines) >= _LIMIT):
                whole = quotes % 2 == 1
                break
            lines.append(line)
            quotes += line.count('"')
    if not any(is_number(cell) for line in lines for cell in re.split(r"[,;|\s]+", line) if cell):
        return [], comments + lines, whole
    return comments, lines, whole


def rows_of(lines: Iterable[str], separator: str) -> Any:
    """Return a reader of the rows of lines; several spaces are one separator.

    Example:
        >>> list(rows_of(["1  2", "3 4"], " "))
        [['1', '2'], ['3', '4']]
    """
    return csv.reader(lines, delimiter=separator, skipinitialspace=separator == " ")


def numbered_rows(
    path: Path,
    lines: Iterable[str],
    separator: str,
    skip: int = 0,
    whole: bool = True,
    blank: bool = False,
) -> Iterator[tuple[int, list[str]]]:
    r"""Yield the number of the first line of each row that is not blank, and its cells.

    Example:
        >>> list(numbered_rows(Path("z.csv"), ["a,b\n", "\n", '"1\n', '2",3\n'], ","))
        [(1, ['a', 'b']), (3, ['1\n2', '3'])]

    Args:
        path: of the file, for messages.
        lines: those after the ones that are skipped.
        separator: of the cells.
        skip: how many lines stand above.
        whole: whether the last line is that of the file; else a row that is open there is left
            out.
        blank: whether blank lines are yielded as well, as rows without cells.

    Raises:
        InputError: for a quotation mark that is not closed, and a cell that is too long for one.
    """
    rows, held = rows_of(chain(lines, [_END]), separator), None
    start = 0
    try:
        for row in rows:
            if held:
                yield held
            held = (skip + start + 1, row) if row or blank else None
            start = rows.line_num
    except csv.Error as error:
        limit = csv.field_size_limit()
        message = (
            f"{path}: line {skip + start + 1:,} opens a cell of more than {limit:,} characters; "
            "close its quotation mark, or save long lists with numpy.save"
        )
        raise InputError(message) from error
    if held and held[1] != [_END] and whole:
        message = (
            f"{path}: line {held[0]:,} opens a quotation mark that is not closed; close or remove "
            "it"
        )
        raise InputError(message)
