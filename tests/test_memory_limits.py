"""Free memory and disk, and the peak memory of a process."""

import sys

import pytest

from jssl.memory import free_disk, peak_memory


def test_memory_is_unknown_where_the_system_does_not_say(monkeypatch):
    assert peak_memory() > 0
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert peak_memory() == 0


def test_the_free_space_of_a_store_is_that_of_the_folder_it_would_be_in(tmp_path):
    assert free_disk(tmp_path / "a" / "b") == pytest.approx(free_disk(tmp_path), rel=0.1)
