"""Without Lightning the callback says what to install."""

import sys

import pytest

import jssl
from jssl.monitor import lightning


def test_without_lightning_the_error_says_what_to_install(monkeypatch):
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    lightning._callback_class.cache_clear()
    with pytest.raises(jssl.InputError, match="pip install lightning"):
        lightning.MonitorCallback  # noqa: B018
    lightning._callback_class.cache_clear()


def test_another_name_of_the_module_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'Callback'"):
        lightning.Callback  # noqa: B018
