"""Sealed files."""

import ast
from pathlib import Path

import pytest

from jssl.sweeps.store import integrity

ROOT = Path(__file__).parents[2]


def test_a_sealed_file_is_refused_after_any_change_of_a_byte():
    data = integrity.sealed({"files": {"a": "0f"}, "runs": 3}).encode()
    assert integrity.unsealed(data) == {"files": {"a": "0f"}, "runs": 3}
    for place in range(len(data)):
        for value in {0, 10, 13, 32, 48, data[place] ^ 1, data[place] ^ 32} - {data[place]}:
            with pytest.raises(ValueError, match="not as it was written"):
                integrity.unsealed(data[:place] + bytes([value]) + data[place + 1 :])


@pytest.mark.parametrize(
    "text", ["", "[]", "1", "null", "{}", "[" * 100_000, '{"files": []}', '{"sha256": 1}']
)
def test_json_of_another_kind_is_no_sealed_file(tmp_path, text):
    entry = tmp_path / "entry.json"
    entry.write_text(text)
    with pytest.raises(ValueError, match="not as it was written"):
        integrity.unsealed(entry.read_bytes())
    assert integrity.sealed_facts(tmp_path, entry) is None


def test_an_entry_under_the_name_of_another_chunk_does_not_hold(tmp_path):
    text = integrity.sealed({"files": {}, "name": "one", "runs": 3})
    for name in ("one", "two"):
        integrity.write_entry(tmp_path / f"{name}.json", text)
    assert integrity.sealed_facts(tmp_path, tmp_path / "one.json") == {"runs": 3}
    assert integrity.sealed_facts(tmp_path, tmp_path / "two.json") is None


def test_no_module_imports_at_its_top_what_only_unix_has():
    unix = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
    found = set()
    for path in (ROOT / "jssl").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                found |= {(path.name, alias.name) for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((path.name, node.module))
    assert [(file, name) for file, name in found if name in unix] == []
    assert ("places.py", "jssl.errors") in found
