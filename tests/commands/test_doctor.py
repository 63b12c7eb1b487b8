"""What `jssl doctor` says, also where a later JAX breaks neural-tangents."""

import os
import subprocess
import sys

import jax

from jssl._compat.neural_tangents import INSTALL
from jssl.commands import main as cli


def test_doctor_names_devices_versions_kernels_and_data(capsys):
    assert cli.run(["doctor"]) == 0
    out = capsys.readouterr().out
    for word in (
        "jax",
        "devices",
        "precision",
        "infinite-width kernels",
        "convolutional kernels",
        "digits",
        "fashion_mnist",
    ):
        assert word in out


def test_doctor_imports_neither_matplotlib_nor_optax():
    """And nothing for convolutional kernels where neural-tangents is not installed."""
    code = """if True:
        import sys
        import jssl.commands.main as cli
        from jssl._compat import neural_tangents
        found = neural_tangents._absent
        neural_tangents._absent = lambda name: name == "frozendict" or found(name)
        status = cli.run(["doctor"])
        heavy = ("matplotlib", "optax", "neural_tangents", "scipy")
        print(status, *(name for name in heavy if name in sys.modules))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *lines, last = done.stdout.splitlines()
    assert last == "0"
    assert INSTALL in said("\n".join(lines))


def test_doctor_tries_convolutional_kernels(capsys):
    assert cli.run(["doctor"]) == 0
    assert f"neural-tangents 0.6.5 works with JAX {jax.__version__}" in said(
        capsys.readouterr().out
    )


def test_broken_neural_tangents_takes_convolutional_kernels_alone_and_doctor_says_so(tmp_path):
    """A module that asks JAX for what it does not have, in the place of neural-tangents."""
    (tmp_path / "neural_tangents.py").write_text("import jax\njax.core.taken_away\n")
    code = """if True:
        import numpy as np
        import jssl.commands.main as cli
        from jssl.errors import InputError
        from jssl.models import conv, mlp, residual
        assert cli.run(["doctor"]) == 0
        x = np.eye(4, dtype=np.float32)
        for model in (mlp(4, 1, depth=2, activation="tanh"), residual(4, 1, activation="relu")):
            for kernel in model.kernel(x, x):
                assert np.linalg.eigvalsh(kernel).min() > 0
        try:
            conv((2, 2, 1), 1).kernel(x.reshape(4, 2, 2, 1), x.reshape(4, 2, 2, 1))
        except InputError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    doctor, _, message = done.stdout.rstrip("\n").rpartition("\n")
    assert message.startswith("kernels of convolutional networks: neural-tangents does not work")
    assert jax.__version__ in message
    assert "taken_away" in message
    assert message.endswith("those of dense networks do not need it")
    assert message in said(doctor)
    assert "of dense networks: part of jssl" in said(doctor)


def said(output):
    """Return the words of a table, without its line breaks and columns."""
    return " ".join(output.split())
