"""Sealed files, and a lock that ends with its process."""

import ast
import errno
import fcntl
import signal
import subprocess
import sys
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


def test_a_lock_is_held_by_one_and_leaves_no_file(tmp_path):
    path = tmp_path / "claims" / "chunk"
    with integrity.lock(path) as first, integrity.lock(path) as second:
        assert first
        assert not second
    assert list(path.parent.iterdir()) == []
    with integrity.lock(path) as again:
        assert again


def test_a_lock_ends_with_the_process_that_holds_it(tmp_path):
    path = tmp_path / "chunk"
    script = (
        "import sys, time, pathlib; from jssl.sweeps.store import integrity\n"
        "held = integrity.lock(pathlib.Path(sys.argv[1]))\n"
        "print(held.__enter__(), flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout.readline() == "True\n"
        with integrity.lock(path) as ours:
            assert not ours
        process.send_signal(signal.SIGKILL)
    with integrity.lock(path) as ours:
        assert ours


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_where_the_file_system_has_no_locks_everybody_gets_one(tmp_path, monkeypatch, code):
    def none(*_):
        raise OSError(code, "no locks")

    monkeypatch.setattr(fcntl, "flock", none)
    path = tmp_path / "chunk"
    with integrity.lock(path) as first, integrity.lock(path) as second:
        assert first
        assert second
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_cannot_be_made_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        integrity.lock(tmp_path / "file" / "chunk").__enter__()


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
    assert ("integrity.py", "filelock") in found
