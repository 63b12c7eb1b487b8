# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Width: finite networks against the infinite-width limit
#
# **What you will see.** The training of an infinitely wide network is determined by a kernel, and has a closed
# form in terms of the contrastive kernel. You will predict when a network learns each dimension before it
# is trained (figure 1), see trained networks approach the prediction as $1/\sqrt{\text{width}}$
# (figure 2), and see the tangent kernel of the trained network become constant (figure 3). After Simon et al.
# 2023, arXiv 2303.15438, section 5, and Fleissner, Anil, Ghoshdastidar 2024, arXiv 2411.11176.

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
import functools
import os

import jax
import jax.numpy as jnp
import numpy as np

import jssl
from jssl import losses
from jssl.data import images, pairs, views
from jssl.figures import draw_modes, new_figure
from jssl.kernels import contrastive_modes, empirical_ntk
from jssl.kernels.infinite import gram as infinite_gram
from jssl.models import centred, mlp
from jssl.optim import gradient_descent
from jssl.precision import float64
from jssl.theory import stepwise

tiny = bool(os.environ.get("JSSL_TINY"))
widths, seeds = ((32, 128), 2) if tiny else ((64, 256, 1024, 4096), 6)
count, inputs, dim, start = 15, 16, 2, 1e-2
BLUE, ORANGE = "#0072b2", "#d55e00"

# %% [markdown]
# ## 1. Predict before training
# For a kernel $k$ (here the neural tangent kernel of a two-layer network) and $n$ pairs, with
# $\tilde K$ the $2n \times 2n$ Gram matrix of both views and $J$ the matrix that exchanges the two,
#
# $$K_\Gamma = \frac{1}{2n}\,\tilde K^{1/2} J \tilde K^{1/2}$$
#
# takes the place of $\Gamma$ in notebook 01: its eigenvalues determine how many dimensions are learned, in
# which order, and when. The data are digits projected to 16 dimensions.

# %%
key = jax.random.key(0)
with float64():
    x = images.subset(key, images.digits(), count).x.astype(np.float64)
    made = pairs.make_pairs(jax.random.fold_in(key, 1), jnp.asarray(x), views.shift(1))
    made = pairs.centre(pairs.flatten(made))
    both = np.concatenate(made[:2])
    axis = np.linalg.svd(both, full_matrices=False)[2][:inputs].T
    data = jssl.Pairs(*(4 * view @ axis / np.linalg.norm(both, axis=1).mean() for view in made[:2]))
    limit = mlp(inputs, dim, width=64, depth=1, activation="erf", dtype=jnp.float64)
    gram = infinite_gram(limit, data)
    modes = contrastive_modes(gram, dim)
print("largest eigenvalues of the contrastive kernel:", np.asarray(modes.eigenvalues).round(4))


# %% [markdown]
# ## 2. Train finite networks
# `centred` gives the small start that kernel theory assumes, without changing the tangent kernel.
# Starts are nested: the network of 64 neurons consists of the first 64 neurons of the wide one.

# %%
with float64():
    rate = 0.02 / float(modes.eigenvalues[0])
    last = int(3 * np.log(1 / start**2) / (8 * float(modes.eigenvalues[-1])) / rate)
    record = np.unique(np.linspace(0, last, 16 if tiny else 40, dtype=int))
both = np.concatenate(data[:2])


def network(width):
    base = mlp(inputs, dim, width=width, depth=1, activation="erf", dtype=jnp.float64)
    return base, centred(base, start)


def train(width, key):
    """Return the trajectory of one network: spectrum, embeddings and tangent kernel."""
    base, net = network(width)
    problem = jssl.Problem(
        pairs.fixed(data), net, losses.get("barlow_twins_linearized"), gradient_descent(rate)
    )

    def observe(params, batch):
        seen = jssl.simulation.observe_embeddings(problem)(params, batch)
        kernel = empirical_ntk(base.apply, params["params"], both)
        return {**seen, "embedding": net.apply(params, both), "kernel": kernel}

    return jssl.run(problem, record, observe)(key)


with float64():
    keys = jax.random.split(jax.random.fold_in(key, 2), seeds)
    runs = {width: jax.jit(jax.vmap(functools.partial(train, width)))(keys) for width in widths}
    times = runs[widths[0]].t[0]
    closed = {
        width: stepwise.embedding(times, modes, gram, run.observables["embedding"][0, 0])
        for width, run in runs.items()
    }


# %%
def spectra(embeddings):
    """Return the eigenvalues of C of (points, 2n, dim) embeddings of both views."""
    za, zb = np.split(np.asarray(embeddings), 2, axis=1)
    c = np.einsum("tni,tnj->tij", za, zb) / count
    return np.linalg.eigvalsh((c + c.swapaxes(1, 2)) / 2)[:, ::-1]


shown = (widths[0], widths[len(widths) // 2], widths[-1])
figure, axes = new_figure(3, width=3.8)
for ax, width in zip(axes, shown):
    draw_modes(ax, times, runs[width].observables["eigenvalues"][0], label="trained network")
    draw_modes(ax, times, spectra(closed[width]), dashed=True, label="infinite width")
    ax.set(xlabel="t = learning rate × step", title=f"width {width}", ylim=(0, 1.1))
axes[0].set_ylabel("eigenvalues of C")
axes[-1].legend(frameon=False, fontsize=8, loc="lower right")
figure

# %% [markdown]
# The remaining difference at the largest width is the error of the closed form: the finite learning rate
# delays the first dimension by $2\eta\gamma_1$, 4 %, and a start of 0.01 is small but not infinitesimal
# (notebook 01).
#
# ## 3. How fast is the limit approached?
# The infinite network from the *same* start follows, in function space,
#
# $$\dot F = -\frac{2}{n}\,\tilde K J F\,(C - I), \qquad C = \frac{F^\top J F}{2n},$$
#
# which we integrate with steps of the same learning rate. According to theory, the distance decreases as
# $\text{width}^{-1/2}$, like the fluctuations of the kernel at initialisation, and the change of the
# tangent kernel during training as $\text{width}^{-1}$ or more slowly.


# %%
def limit_run(embedding):
    """Return F after `last` steps of the infinite network."""

    def step(_, f):
        swapped = jnp.roll(f, count, axis=0)
        c = f.T @ swapped / (2 * count)
        return f - rate * 2 / count * gram @ swapped @ (c - jnp.eye(dim))

    return jax.lax.fori_loop(0, last, step, embedding)


with float64():
    distance, drift = [], []
    of_starts = jax.jit(jax.vmap(limit_run))
    for run in runs.values():
        f, k = run.observables["embedding"], np.asarray(run.observables["kernel"])
        ends = of_starts(f[:, 0])
        norm = np.linalg.norm(ends, axis=(1, 2))
        distance.append(np.linalg.norm(f[:, -1] - ends, axis=(1, 2)) / norm)
        drift.append(
            np.linalg.norm(k[:, -1] - k[:, 0], axis=(1, 2)) / np.linalg.norm(k[:, 0], axis=(1, 2))
        )
figure, axes = new_figure(2, width=4.6)
names = ("distance from infinite width", "change of the tangent kernel")
for ax, values, slope, name, colour in zip(
    axes, (distance, drift), (-0.5, -1), names, (BLUE, ORANGE)
):
    values = np.array(values)
    ax.plot(widths, values, "o", color=colour, alpha=0.4, ms=4)
    ax.plot(widths, values.mean(1), color=colour, label="mean of the seeds")
    line = values[-1].mean() * (np.array(widths) / widths[-1]) ** slope
    ax.plot(widths, line, "--", color="black", lw=1, label=f"slope {slope}")
    ax.set(xscale="log", yscale="log", xlabel="width", ylabel=name)
    ax.set_xticks(widths, [str(w) for w in widths])
    ax.set_xticks([], minor=True)
    ax.legend(frameon=False)
    fitted = np.polyfit(np.log(widths), np.log(values), 1)[0]
    error = fitted.std(ddof=1) / np.sqrt(seeds)
    print(f"{name}: slope {fitted.mean():.2f} ± {error:.2f}")
figure

# %% [markdown]
# **Where next.** Other kernels work too: `jssl.models` has convolutional nets with their kernels, and
# `jssl.kernels.empirical_ntk` gives the tangent kernel of your own `apply`. Notebook 06 runs such a
# study as a sweep that can be resumed after a crash.
