# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Orthonormal weights: exact dynamics on the Grassmannian
#
# **What you will see.** Without a constraint, the simplest contrastive loss makes all outputs the
# same: dimension collapse, at a rate that a formula gives (figure 1). With orthonormal weights the
# whole trajectory is known exactly, whatever the width, and retracted gradient descent follows it
# (figure 2); convergence is set by one eigenvalue gap (figure 3). On digit images the constrained
# encoder keeps its dimensions and the naive one loses them (figure 4). Esser et al. 2023,
# *Representation learning dynamics of self-supervised models*, arXiv 2309.02011.

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
from jssl import losses
from jssl.data import images, pairs, views
from jssl.diagnostics import effective_rank
from jssl.figures import new_figure
from jssl.manifolds import Grassmann
from jssl.models import linear
from jssl.optim import gradient_descent, grassmann_sgd, manifold_error, orthonormal_start
from jssl.precision import float64
from jssl.theory import grassmann

tiny = bool(os.environ.get("JSSL_TINY"))
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"

# %% [markdown]
# ## 1. Without a constraint the encoder collapses
# For $z = W^\top x$ the linear contrastive loss $\frac1n\sum_i z_i^\top(z_i^- - z_i^+)$ is a quadratic
# form $L = \mathrm{Tr}(W^\top C W)$, and gradient flow is $W(t) = e^{-2Ct}W_0$. Every output obeys the
# same equation, so all of them converge in direction to the eigenvector of the smallest eigenvalue $l_1$.
# The singular values of $W$ satisfy
#
# $$\frac{s_2}{s_1} \sim e^{-2(l_2 - l_1)\,t}.$$

# %%
inputs, dim = 8, 3
rows = Grassmann(row_axis=-1, col_axis=-2)  # a linear weight is (out, in): its rows are the frame
key = jax.random.key(0)
with float64():
    x, up, down = jax.random.normal(key, (3, 400, inputs), jnp.float64)
    scale = jnp.geomspace(1.5, 0.3, inputs)
    data = jssl.Pairs(x * scale, (x + 0.4 * up) * scale, jnp.roll((x + 0.4 * down) * scale, 1, 0))
    objective = grassmann.objective_matrix(data)
    levels = np.linalg.eigvalsh(objective)
print("eigenvalues of C:", levels.round(3))


def make_problem(optimiser, model):
    return jssl.Problem(pairs.fixed(data), model, losses.get("linear_contrastive"), optimiser)


def weight_of(params, _):
    return {"weight": params["weight"]}


# %%
with float64():
    plain = linear(inputs, dim, dtype=jnp.float64)
    record = np.arange(0, 12000, 150)
    naive = jax.jit(jssl.run(make_problem(gradient_descent(1e-3), plain), record, weight_of))
    naive = naive(key)
    start = plain.init(jssl.types.start_key(key))["weight"].T
    theory = grassmann.naive_weight(objective, start, naive.t)
    rate = float(grassmann.collapse_rate(objective))
seen = np.linalg.svd(naive.observables["weight"], compute_uv=False)
known = np.linalg.svd(theory, compute_uv=False)
figure, (ax,) = new_figure(1, width=5.5, height=3.6)
for j, colour in zip((1, 2), (BLUE, ORANGE)):
    ax.plot(naive.t, seen[:, j] / seen[:, 0], color=colour, label=f"descent, s{j + 1} / s1")
    ax.plot(naive.t, known[:, j] / known[:, 0], "--", color="black", lw=1)
ax.plot([], [], "--", color="black", lw=1, label="theory")
ax.set(yscale="log", xlabel="t = learning rate × step", ylabel="singular value over the largest")
ax.set(ylim=(1e-14, 2), title="all outputs become parallel")
ax.legend(frameon=False)
late = slice(len(naive.t) // 3, len(naive.t) * 2 // 3)
slope = np.polyfit(naive.t[late], np.log(seen[late, 1] / seen[late, 0]), 1)[0]
finite = np.log1p(-2e-3 * levels[1]) - np.log1p(-2e-3 * levels[0])
print(f"slope of log s2/s1: {slope:.4f}; theory, -2 (l2 - l1): {-rate:.4f}")
print(f"theory at the finite learning rate of 0.001: {finite / 1e-3:.4f}")
figure

# %% [markdown]
# ## 2. With $W^\top W = I$ the flow has a closed form
# Under gradient flow on the Grassmannian, $\dot W = -2(I - WW^\top)CW$, the *projector* is
#
# $$P(t) = E\,(E^\top E)^{-1}E^\top, \qquad E = e^{-2Ct}W_0,$$
#
# which depends neither on the width nor on the basis. This formula is numerically singular at late
# times; `grassmann.projector` uses an equivalent one that is accurate at all times. The distance of
# `jssl.optim.grassmann_sgd` from the flow is proportional to the learning rate.


# %%
def projector_of(params, _):
    return {"projector": params["weight"].T @ params["weight"]}


frame = orthonormal_start(linear(inputs, dim, dtype=jnp.float64), rows)
final = 6.0
distances, curves = {}, {}
with float64():
    weight = frame.init(jssl.types.start_key(key))["weight"].T
    for step in (0.08, 0.04, 0.02, 0.01):
        record = np.linspace(0, round(final / step), 25, dtype=int)
        problem = make_problem(grassmann_sgd(step, manifold=rows), frame)
        seen = jax.jit(jssl.run(problem, record, projector_of))(key)
        t = step * record
        exact = grassmann.projector(objective, weight, jnp.asarray(t))
        apart = np.linalg.norm(seen.observables["projector"] - exact, axis=(1, 2))
        distances[step], curves[step] = apart.max(), (t, apart)

figure, (left, right) = new_figure(2, width=4.4)
for (step, (t, apart)), colour in zip(curves.items(), ("#440154", "#31688e", "#35b779", "#b5a500")):
    left.plot(t, apart, color=colour, label=f"learning rate {step:g}")
left.set(xlabel="t", ylabel="||P descent − P exact||", title="distance from the exact flow")
left.legend(frameon=False, fontsize=8)
steps = np.array(list(distances))
right.plot(steps, list(distances.values()), "o", color=BLUE, label="largest distance")
right.plot(steps, steps * distances[0.01] / 0.01, "--", color="black", lw=1, label="slope 1")
right.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="largest distance")
right.set_xticks(steps, [f"{step:g}" for step in steps], minor=False)
right.set_xticks([], minor=True)
right.set_title("proportional to the learning rate")
right.legend(frameon=False)
figure

# %% [markdown]
# ## 3. One gap determines the rate
# The optimum is the bottom eigenspace of $C$, and the largest principal angle to it decays as
# $e^{-2(l_{z+1}-l_z)t}$. Many starts run in one `vmap`; the theory is exact for each of them.

# %%
starts = 20 if tiny else 300
with float64():
    frames = jnp.linalg.qr(jax.random.normal(key, (starts, inputs, dim)))[0]
    times = jnp.linspace(0, 12, 80)
    angles = jax.jit(jax.vmap(lambda w: grassmann.optimum_angles(objective, w, times)))(frames)
    gap_rate = float(grassmann.convergence_rate(objective, dim))
times, largest = np.asarray(times), np.sin(np.asarray(angles)[..., -1])
figure, (ax,) = new_figure(1, width=5.5, height=3.6)
low, middle, high = np.quantile(largest, [0.05, 0.5, 0.95], axis=0)
ax.fill_between(times, low, high, color=GREEN, alpha=0.3, linewidth=0, label="90 % of starts")
ax.plot(times, middle, color=GREEN, label="median start")
ax.plot(
    times,
    middle[40] * np.exp(-gap_rate * (times - times[40])),
    "--",
    color="black",
    lw=1,
    label="theory: rate 2 × gap",
)
ax.set(yscale="log", xlabel="t", ylabel="sin of the largest angle", title=f"{starts} starts")
ax.legend(frameon=False)
figure

# %% [markdown]
# ## 4. On images
# The data are digits with shifts and noise, and negatives are views of other digits. Both encoders are
# trained on the same loss with the same learning rate. The embedding is divided by its norm before its
# rank is computed, because it grows without bound without the constraint.

# %%
outputs, count = 10, 80 if tiny else 600
with float64():
    sample = images.subset(key, images.digits(), count).x.astype(np.float64)
    view = views.compose(views.shift(1), views.noise(0.1))
    made = pairs.make_pairs(jax.random.fold_in(key, 1), jnp.asarray(sample), view)
    centred = pairs.centre(pairs.flatten(made))
    data = centred._replace(negative=jnp.roll(centred.second, 1, 0))
    record = np.unique(np.geomspace(1, 600, 30).astype(int))
    size = data.first.shape[1]

    def ranks(params, batch):
        z = batch.first @ params["weight"].T
        return {"rank": effective_rank(z / jnp.linalg.norm(z)), "weight": params["weight"]}

    plain, frame = linear(size, outputs), orthonormal_start(linear(size, outputs), rows)
    step = 0.2 * float(grassmann.stable_learning_rate(grassmann.objective_matrix(data)))
    free = jax.jit(jssl.run(make_problem(gradient_descent(step), plain), record, ranks))(key)
    held = make_problem(grassmann_sgd(step, manifold=rows), frame)
    held = jax.jit(jssl.run(held, record, ranks))(key)
    print(
        "deviation from orthonormal weights:",
        float(manifold_error(held.observables["weight"][-1], rows)),
    )
figure, (ax,) = new_figure(1, width=5.5, height=3.6)
ax.plot(record, held.observables["rank"], color=BLUE, label="orthonormal weights")
ax.plot(record, free.observables["rank"], color=ORANGE, label="no constraint")
ax.axhline(outputs, color="black", lw=0.8, ls=":")
ax.set(xscale="log", xlabel="step", ylabel="effective rank of the embeddings", ylim=(0, 10.5))
ax.set_title("effective rank on digits")
ax.legend(frameon=False)
figure

# %% [markdown]
# **Where next.** With `jssl.optim.stiefel_adam` and similar transformations, any leaf of a parameter tree
# can be kept on a manifold in an ordinary optax chain. `jssl reproduce grassmann` runs the claims of the
# paper, including those on deep and wide networks.
