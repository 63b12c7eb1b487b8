"""Lazy subpackages and members, so that `import jssl` and `jssl --help` are fast (PEP 562)."""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # as in `typing`, whose import would double the time before Ctrl-C is handled
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def attach(
    package: str, modules: tuple[str, ...], members: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for a package.

    Args:
        package: name of the package.
        modules: submodules that are imported on first use.
        members: public name -> submodule that defines it.
    """

    def getattr_(name: str) -> Any:
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        if name in members:
            return getattr(importlib.import_module(f"{package}.{members[name]}"), name)
        message = f"module '{package}' has no attribute '{name}'"
        raise AttributeError(message)

    def dir_() -> list[str]:
        return sorted((*modules, *members))

    return getattr_, dir_
