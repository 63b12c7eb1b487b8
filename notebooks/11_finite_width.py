# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Forecasts for networks of finite width
#
# **What you will see.** At infinite width the outputs of a network do not affect each other. In networks of
# finite width they do, and every dimension after the first is learned sooner than the limit says. You will forecast
# the steps of a network, train it, and compare (figure 1); measure the leak between its outputs against
# the width (figure 2); and see that a smaller start delays the first dimension only (figure 3).

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
# %matplotlib inline
import os

import jax
import jax.numpy as jnp
import numpy as np

import jssl
from jssl.data import images, pairs, views
from jssl.figures import new_figure
from jssl.models import mlp
from jssl.precision import float64
from jssl.theory.finite_width import leak

TINY = "JSSL_TINY" in os.environ
COUNT, DIM = (40, 3) if TINY else (100, 4)
WIDTH = 32 if TINY else 128

# %% [markdown]
# ## Figure 1: the limit, the forecast for a width, and training
#
# Pairs are digits shifted by at most one pixel, with noise. `width=` asks for random networks of that width;
# `simulate=2` also trains the first two of them. The crosses are the trained networks, the grey marks the limit.

# %%
x = jnp.asarray(images.subset(jax.random.key(0), images.load("digits"), COUNT).x)
made = pairs.make_pairs(jax.random.key(1), x, views.named("shift=1,noise=0.1"))
data = np.asarray(made.first, float), np.asarray(made.second, float)
setting = {"loss": "barlow_twins_linearized", "dim": DIM, "kernel": "mlp-tanh-2"}

forecast = jssl.predict(data, **setting, width=WIDTH, nets=4, simulate=2)
print(forecast)
axes = forecast.plot()
axes.set_title("Trained networks follow the forecast for their width, not the limit")
axes.figure
# %% [markdown]
# The forecast needs no training: gradient descent with the tangent kernel of the start, in the leading modes of the
# pairs, with all blocks of the kernel between the outputs (F-5 in the list of equations).
#
# ## Figure 2: the leak against the width
#
# While dimension 1 is learned in one output, it moves all others by a block of the tangent kernel whose entries are of
# order width$^{-1/2}$. The second eigenvalue of the cross-correlation that this leak gives falls as 1 / width.

# %%
with float64():
    rows = jnp.concatenate([jnp.asarray(a).reshape(COUNT, -1) for a in data])
    first_mode = np.ones(2 * COUNT) / (2 * COUNT)  # close to mode 1, which is nearly constant
    widths = (16, 64) if TINY else (32, 128, 512, 2048)
    sizes = []
    for width in widths:
        net = mlp(rows.shape[1], 2, width=width, depth=2, activation="tanh")
        moved = [
            leak(net.apply, net.init(jax.random.key(seed)), rows, first_mode, jnp.eye(2)[0])
            for seed in range(2 if TINY else 8)
        ]
        shares = [
            float(np.sum(m[:, 1] ** 2) / np.sum(m[:, 0] ** 2)) for m in map(np.asarray, moved)
        ]
        sizes.append(np.mean(shares))

figure, (ax,) = new_figure(1)
ax.loglog(widths, sizes, "o-", label="mean over networks")
ax.loglog(widths, sizes[0] * widths[0] / np.array(widths), "--", color="0.5", label="1 / width")
ax.set(xlabel="width", ylabel="leak squared, relative", title="The leak falls as 1 / width")
ax.legend()
figure

# %% [markdown]
# ## Figure 3: a smaller start delays the first dimension only
#
# With a start 100 times smaller, the limit delays every dimension in proportion to 1 / its eigenvalue. In a network
# of finite width, later dimensions start from the leak, so they are delayed by no more than dimension 1 is.

# %%
scales = (forecast.scale, forecast.scale / 100)
later = [jssl.predict(data, **setting, width=WIDTH, nets=2, simulate=1, scale=s) for s in scales]
figure, (ax,) = new_figure(1)
index = np.arange(1, DIM + 1)
ax.plot(index, later[1].limit_steps - later[0].limit_steps, "s-", color="0.6", label="limit")
ax.plot(index, later[1].steps - later[0].steps, "o-", label="forecast for this width")
ax.plot(index, later[1].simulated[0] - later[0].simulated[0], "kx", label="trained")
ax.set(xlabel="dimension", ylabel="delay in steps", xticks=index)
ax.set_title("A start 100 times smaller")
ax.legend()
figure

# %% [markdown]
# ## Where next
#
# `jssl.predict(pairs, apply=..., params=...)` forecasts a network of your own, `torch=module` a PyTorch module, and
# `params=..., step=...` the rest of a training from a checkpoint. The guide on networks of finite width describes them,
# and says how well forecasts came true.
