"""The installation that README.md describes works in an empty environment."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import jssl
from jssl._compat.neural_tangents import INSTALL

ROOT = Path(__file__).parents[2]
KERNELS = "from jssl._compat import neural_tangents; print(neural_tangents.status()[0])"


def test_no_extra_of_the_package_requires_tensorflow():
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
@pytest.mark.parametrize("end", ["oldest", "newest"])
def test_commands_run_after_a_plain_pip_install_at_both_ends_of_jax(tmp_path, end):
    """In an empty environment, without uv; neural-tangents absent, then present, then broken."""
    python, asked = (sys.executable, _oldest()) if end == "oldest" else (_newest_python(), ())
    _call(python, "-m", "venv", tmp_path / "env")
    programs = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [programs / "python", "-m", "pip"]
    _call(*pip, "install", "--quiet", ROOT, *asked)
    installed = _call(*pip, "list").lower()
    assert "neural" not in installed
    assert "uv " not in installed
    version = _call(programs / "python", "-c", "import jax; print(jax.__version__)").strip()
    assert version == (asked[0].partition("==")[2] if asked else _newest_of_the_registry(pip))

    jssl_ = partial(_call, programs / "jssl", cwd=tmp_path)
    _every_command_runs(jssl_, tmp_path)
    conv = ("predict", "--images", "digits", "--kernel", "conv", "--out", "conv")
    assert INSTALL in " ".join(jssl_("doctor").split())
    _is_refused(jssl_, tmp_path, conv, INSTALL)

    _call(*pip, *INSTALL.split()[1:], "--quiet")
    assert f"works with JAX {version}" in " ".join(jssl_("doctor").split())
    jssl_(*conv)
    assert (tmp_path / "conv" / "report.html").exists()
    shutil.rmtree(tmp_path / "conv")

    (broken,) = (tmp_path / "env").rglob("neural_tangents/__init__.py")
    broken.write_text("import jax\njax.core.taken_away\n", encoding="utf-8")
    says = f"does not work with JAX {version}"
    assert says in " ".join(jssl_("doctor").split())
    _is_refused(jssl_, tmp_path, conv, says)
    jssl_("predict", "--images", "digits", "--kernel", "mlp", "--out", "mlp")


def _every_command_runs(jssl_, folder):
    np.save(folder / "z.npy", np.random.default_rng(0).normal(size=(200, 6)))
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    for arguments, report in (
        (("predict", "--images", "digits"), "jssl-predict/report.html"),
        (("diagnose", "z.npy"), "jssl-diagnose/report.html"),
        (("sweep", "study.toml"), "store"),
        (("reproduce", "stepwise"), "jssl-out/report.html"),
    ):
        jssl_(*arguments)
        assert (folder / report).exists(), arguments
    report = (folder / "jssl-out" / "report.html").read_text(encoding="utf-8")
    assert "stepwise/width-exponent" in report  # a claim about an infinite-width kernel


def _is_refused(jssl_, folder, conv, reason):
    message = jssl_(*conv, status=2).strip()
    assert reason in message
    assert "\n" not in message
    assert not (folder / "conv").exists()


def _oldest():
    """Return the oldest JAX of pyproject.toml, as pip is asked for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ranges = [each for each in project["dependencies"] if each.startswith("jax")]
    return [each.partition(",")[0].replace(">=", "==") for each in ranges]


def _newest_of_the_registry(pip):
    """Return the newest JAX that pip could install, whatever pyproject.toml allows."""
    look = ("install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet", "--report", "-")
    (found,) = json.loads(_call(*pip, *look, "jax"))["install"]
    return found["metadata"]["version"]


def _newest_python():
    """Return the newest Python that jssl is tested with: the newest JAX asks for 3.12 or later."""
    for minor in (13, 12):
        name = f"python3.{minor}"
        if sys.version_info[:2] == (3, minor):
            return sys.executable
        if shutil.which(name):
            # pyenv has every version on the path and starts only those that are chosen
            chosen = os.environ | {"PYENV_VERSION": f"3.{minor}"}
            command = [name, "-c", "import sys; print(sys.executable)"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=chosen)
            if done.returncode == 0:
                return done.stdout.strip()
    return pytest.skip("neither Python 3.13 nor 3.12 is on the path")


def _call(*command, cwd=None, status=0):
    """Return what a command prints, without this process's paths, flags and compiled programs."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "XLA_FLAGS", "XDG_CACHE_HOME")
    clean = {k: v for k, v in os.environ.items() if k not in hidden}
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env=clean | ({"XDG_CACHE_HOME": str(cwd / "cache")} if cwd else {}),
        cwd=cwd,
    )
    if status:
        assert done.returncode == status, done.stderr
        return done.stderr
    assert done.returncode == 0, done.stderr
    return done.stdout
