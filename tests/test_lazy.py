"""Subpackages and members that are imported on first use."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import jssl

PACKAGES = [
    *("data", "diagnosis", "forecast", "jaxprs", "kernels", "losses", "manifolds", "optim"),
    *("encoders", "monitor", "report", "studies", "sweeps", "theory"),
]


def test_every_package_of_the_library_is_an_attribute_after_import_jssl_alone():
    folders = {path.parent.name for path in Path(jssl.__file__).parent.glob("*/__init__.py")}
    public = sorted(folders - {"_compat", "commands", "formulas"})
    code = f"import jssl\nfor name in {public}: getattr(jssl, name)\njssl.theory.stepwise.predict"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(public) <= set(dir(jssl))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_listed_name_exists(package):
    module = importlib.import_module(f"jssl.{package}")
    for name in dir(module):
        if not name.startswith("_"):
            getattr(module, name)


def test_every_theory_is_an_attribute():
    theory = Path(jssl.__file__).parent / "theory"
    names = {path.stem for path in theory.iterdir()} - {"__init__", "__pycache__"}
    assert set(dir(jssl.theory)) == names
