# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # High dimension: one pass over the data, and hard negatives
#
# **What you will see.** A unit trained on each pair once follows two differential equations in many
# dimensions (figure 1), and single runs spread as one over the root of the dimension. The chain that
# draws these runs costs the same in a million dimensions. Hard negatives make the classes of a
# contrastive loss separate faster, towards the same minimum (figure 2).

# %% tags=["hide-input"]
# Installs jssl where it is missing, from the wheel or the clone that lies beside this notebook.
import importlib.metadata
import importlib.util
import pathlib
import subprocess
import sys


def installed():
    try:  # a clone in a folder named jssl can be imported as jssl, but has no jssl.losses
        return importlib.util.find_spec("jssl.losses") is not None
    except ModuleNotFoundError:
        return False


if not installed():
    here = pathlib.Path.cwd()
    clones = [p for p in (here / "jssl", here, here.parent) if (p / "jssl" / "losses").is_dir()]
    sources = [*sorted(here.glob("jssl-*.whl"), reverse=True), *clones]
    if not sources:
        message = f"put a wheel jssl-*.whl or a clone of jssl into {here}"
        raise FileNotFoundError(message)
    try:
        version = importlib.metadata.version("jax")
        known = (0, 10) <= tuple(map(int, version.split(".")[:2])) < (0, 13)
        replaced = (
            "is outside the tested range 0.10 to 0.12: pip replaces it; for a GPU or TPU install"
        )
        replaced += " jax[cuda12] or jax[tpu] of that range yourself, then restart the runtime"
        print(f"JAX {version} {'is kept' if known else replaced}.")
    except importlib.metadata.PackageNotFoundError:
        print("JAX is installed with jssl.")
    pip = [sys.executable, "-m", "pip", "install", "-q"]
    subprocess.run([*pip, str(sources[0])], check=True)
    subprocess.run([*pip, "--no-deps", "neural-tangents==0.6.5", "frozendict"], check=True)
    sys.modules.pop("jssl", None)
    importlib.invalidate_caches()

# %%
import os

import jax
import matplotlib.pyplot as plt
import numpy as np

from jssl.theory import highdim

TINY = bool(os.environ.get("JSSL_TINY"))

# %% [markdown]
# ## A stated problem
#
# The signal has two points, the noises of two views are correlated by -0.4.

# %%
setting = highdim.OnePass(
    highdim.rademacher(2.0), noise=1.0, correlation=-0.4, learning_rate=0.5, decay=0.2
)
print("growth rate of a small overlap:", round(highdim.escape_rate(setting), 4))
print("smallest signal that is learned:", round(highdim.learnable_signal(setting), 4))

# %% [markdown]
# ## Runs, the limit, and the spread

# %%
dim, runs = (100, 10) if TINY else (400, 60)
times = np.linspace(0, 8, 17)
steps = [round(dim * t) for t in times]
found = highdim.chain(jax.random.key(0), setting, dim, steps, overlap=0.3, square=1.0, seeds=runs)
limit = highdim.trajectory(times, [0.3], 1.0, setting)
spread = highdim.fluctuation(times[1:], 0.3, 1.0, setting)[:, 0, 0] ** 0.5 / dim**0.5
figure, ax = plt.subplots(figsize=(6, 3))
ax.plot(times, np.asarray(found.overlap), color="0.8", lw=0.5)
ax.plot(times, limit.overlap[:, 0], "k--")
for sign in (-2, 2):
    ax.plot(times[1:], limit.overlap[1:, 0] + sign * spread, "k:")
ax.set(xlabel="time (steps over dimension)", ylabel="overlap", title=f"{runs} runs, d = {dim}")
plt.show()
print(
    "standard deviation at the end:",
    np.asarray(found.overlap)[-1].std().round(4),
    "predicted",
    spread[-1].round(4),
)

# %% [markdown]
# ## Hard negatives

# %%
hardness = np.linspace(0, 10, 50)
figure, ax = plt.subplots(figsize=(5, 3))
for full in (False, True):
    rates = [highdim.relaxation_rate(5, hardness=h, weight_gradient=full) for h in hardness]
    ax.plot(
        hardness, np.array(rates) / rates[0], label="with gradient" if full else "fixed weights"
    )
ax.set(xlabel="hardness", ylabel="speed of relaxation to the simplex")
ax.legend()
plt.show()
print("least loss of 5 classes, for every hardness:", round(highdim.supervised_bound(5), 4))
print(
    "with a gradient through the weights and no labels, keep the hardness below",
    round(highdim.critical_hardness(5), 3),
)
