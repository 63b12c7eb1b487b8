"""What a parser says in a box is said in one line, whatever the box is drawn with."""

import sys

import pytest

from jssl.commands.parsing import one_line

UNICODE = """
╭─ Value error ───────────────────╮
│ Error parsing --jobs: no type   │
│ matching INT.                   │
│                                 │
│ Got errors:                     │
│ - a detail                      │
│ ─────────────────────────────── │
│ Argument helptext:              │
│     --jobs INT                  │
│ ─────────────────────────────── │
│ For full helptext, run tool x --help │
╰─────────────────────────────────╯
"""
PLAIN = """ Unrecognized options
 --------------------
  Unrecognized options: --sead
  -------------------
  Perhaps you meant:
      --seed INT
          Root seed.
  -------------------
  For full helptext, run tool --help
"""


def refuse(box: str, status: int) -> None:
    with one_line("tool"):
        print(box, file=sys.stderr)
        raise SystemExit(status)


@pytest.mark.parametrize(
    ("box", "line"),
    [
        (UNICODE, "tool: Error parsing --jobs: no type matching INT; see tool x --help\n"),
        (
            PLAIN,
            "tool: Unrecognized options: --sead; perhaps you meant --seed INT; see tool --help\n",
        ),
        ("", "tool: invalid arguments; see tool --help\n"),
    ],
)
def test_a_box_becomes_a_line(box, line, capsys):
    with pytest.raises(SystemExit) as stop:
        refuse(box, 2)
    assert stop.value.code == 2
    assert capsys.readouterr().err == line


def test_other_ends_keep_what_was_said(capsys):
    with pytest.raises(SystemExit) as stop:
        refuse("as it was", 0)
    assert stop.value.code == 0
    assert capsys.readouterr().err == "as it was\n"
