"""The installation that README.md describes works in an empty environment."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy
import pytest

import jssl
from jssl._compat.neural_tangents import INSTALL

ROOT = Path(__file__).parents[2]
KERNELS = "from jssl._compat import neural_tangents; print(neural_tangents.status()[0])"


def test_no_extra_of_the_package_requires_tensorflow():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    asked = [*project["dependencies"], *(each for extra in extras for each in extra)]
    assert not [each for each in asked if each.startswith(("neural-tangents", "tensorflow", "tf"))]


def test_the_readme_has_the_line_that_doctor_prints():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"\n    {INSTALL}\n" in readme


@pytest.mark.slow
def test_a_wheel_installs_with_pip_into_an_empty_environment(tmp_path):
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not on the path")
    _call(uv, "build", "--quiet", "--wheel", "--out-dir", tmp_path / "dist", ROOT)
    (wheel,) = (tmp_path / "dist").glob("jssl-*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    programs = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [programs / "python", "-m", "pip"]
    _call(*pip, "install", "--quiet", wheel)
    assert jssl.__version__ in _call(programs / "jssl", "--version")
    assert INSTALL in " ".join(_call(programs / "jssl", "doctor").split())
    _call(*pip, *INSTALL.split()[1:], "--quiet")
    assert _call(programs / "python", "-c", KERNELS).split()[-1] == "True"
    assert "tensorflow" not in _call(*pip, "list").lower()


STUDY = """
store = "store"
record = [0, 10]
[problem]
data = "digits"
samples = 20
model = "linear"
dim = 2
loss = "vicreg"
[axes]
learning_rate = [0.01, 0.02]
seed = 2
"""


@pytest.mark.slow
def test_commands_run_after_a_plain_pip_install(tmp_path):
    """In an empty environment, with neither uv nor neural-tangents."""
    venv.create(tmp_path / "env", with_pip=True)
    programs = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    _call(programs / "python", "-m", "pip", "install", "--quiet", ROOT)
    installed = _call(programs / "python", "-m", "pip", "list").lower()
    assert "neural" not in installed
    assert "uv " not in installed
    numpy.save(tmp_path / "z.npy", numpy.random.default_rng(0).normal(size=(200, 6)))
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    for arguments, report in (
        (("predict", "--images", "digits"), "jssl-predict/report.html"),
        (("diagnose", "z.npy"), "jssl-diagnose/report.html"),
        (("sweep", "study.toml"), "store"),
        (("reproduce", "stepwise"), "jssl-out/report.html"),
    ):
        _call(programs / "jssl", *arguments, cwd=tmp_path)
        assert (tmp_path / report).exists(), arguments
    report = (tmp_path / "jssl-out" / "report.html").read_text(encoding="utf-8")
    assert "stepwise/width-exponent" in report  # a claim about an infinite-width kernel
    asked = ("predict", "--images", "digits", "--kernel", "conv", "--out", "conv")
    message = _call(programs / "jssl", *asked, cwd=tmp_path, status=2).strip()
    assert INSTALL in message
    assert "\n" not in message
    assert not (tmp_path / "conv").exists()


def _call(*command, cwd=None, status=0):
    hidden = ("PYTHONPATH", "VIRTUAL_ENV")
    clean = {k: v for k, v in os.environ.items() if k not in hidden}
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env=clean,
        cwd=cwd,
    )
    if status:
        assert done.returncode == status, done.stderr
        return done.stderr
    assert done.returncode == 0, done.stderr
    return done.stdout
