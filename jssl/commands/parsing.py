"""Errors in the arguments, as one line instead of the box that tyro prints."""

import contextlib
import io
import re
import sys
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def one_line(prog: str) -> Iterator[None]:
    """Print the error of a command-line parser as one line; its exit status is kept.

    Example:
        >>> import contextlib, sys
        >>> with contextlib.redirect_stderr(sys.stdout), contextlib.suppress(SystemExit):
        ...     with one_line("jssl"):
        ...         print("| Unrecognized options: --sead |", file=sys.stderr)
        ...         raise SystemExit(2)
        jssl: Unrecognized options: --sead; see jssl --help

    Args:
        prog: name of the program, which begins the line.
    """
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            yield
    except SystemExit as stop:
        if stop.code != 2:
            print(printed.getvalue(), end="", file=sys.stderr)
            raise
        print(f"{prog}: {_shortened(printed.getvalue(), prog)}", file=sys.stderr)
        raise


def refuse_empty(arguments: Sequence[str], prog: str) -> None:
    """Exit with status 2 after one line if an argument is empty, as an unset shell variable is.

    Example:
        >>> import contextlib, sys
        >>> with contextlib.redirect_stderr(sys.stdout), contextlib.suppress(SystemExit):
        ...     refuse_empty(["report", "runs", "--out", ""], "jssl")
        jssl: the value of --out is empty; pass one, or leave --out out

    Args:
        arguments: the words after the name of the program.
        prog: name of the program, which begins the line.

    Raises:
        SystemExit: if one is empty, or ends with `=`.
    """
    before = ""
    for argument in arguments:
        option = before if before.startswith("--") else "an argument"
        if argument.startswith("--") and argument.endswith("="):
            option, argument = argument[:-1], ""
        if not argument.strip():
            one = f"the value of {option} is empty; pass one, or leave {option} out"
            line = one if option != "an argument" else "an argument is empty; pass a name or a path"
            print(f"{prog}: {line}", file=sys.stderr)
            raise SystemExit(2)
        before = argument


_RULE = re.compile(r"[─╭╰━].*|-{5,}")
_DETAIL = re.compile(r"Got errors:|Argument helptext:")
_NONE = re.compile(r"'None', |, 'None'")
"""tyro lists None among the choices of an option that may be left out."""
_TOO_LONG = re.compile(r"Exceeds the limit .* value has (\d+) digits; .* to increase the limit")


def _shortened(box: str, prog: str) -> str:
    """Return the text of a box: its first paragraphs, a suggestion, and where help is."""
    sections: list[list[str]] = [[]]
    for raw in box.splitlines():
        line = raw.strip().strip("│|").strip()
        if _RULE.fullmatch(line):
            sections.append([])
        elif line:
            sections[-1].append(line)
    if any(sections[1:]):
        del sections[0]  # a title, where it is not part of the box
    paragraphs = [section for section in sections if section]
    if not paragraphs:
        return f"invalid arguments; see {prog} --help"
    first: list[str] = []
    for line in paragraphs[0]:
        if _DETAIL.match(line):
            break
        first.append(line)
    text = _NONE.sub("", " ".join(first).rstrip("."))
    parts = [_TOO_LONG.sub(lambda digits: f"a number of {digits[1]} digits is too large", text)]
    for section in paragraphs[1:]:
        if section[0].startswith("Available subcommands"):
            parts.append(" ".join([section[0][0].lower() + section[0][1:], *section[1:]]))
        elif section[0].startswith("Perhaps you meant") and len(section) > 1:
            parts.append(f"perhaps you meant {section[1]}")
    help_line = re.search(rf"({re.escape(prog)}[\w ]* --help)", " ".join(paragraphs[-1]))
    parts.append(f"see {help_line[1] if help_line else f'{prog} --help'}")
    return "; ".join(parts)
