# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Your own encoder: predict before training, diagnose after
#
# **What you will see.** All you need are arrays; the encoder can come from any library. From pairs of
# views you will compute how many dimensions a loss can learn and in which order (figure 1); from the embeddings
# of a trained encoder, how many it uses and how good they are (figure 2); from checkpoints, when
# each dimension was learned (figure 3). Replace the three arrays marked *yours* by your own.

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
import optax

import jssl
from jssl import losses
from jssl.data import images, pairs, views
from jssl.diagnostics import (
    collapse,
    covariance,
    detect_steps,
    effective_rank,
    ridge_probe,
    spectrum,
    subspace_overlap,
)
from jssl.figures import draw_modes, new_figure
from jssl.kernels import contrastive_modes, embed
from jssl.kernels.infinite import gram as infinite_gram
from jssl.models import mlp
from jssl.precision import float64
from jssl.theory import stepwise

tiny = bool(os.environ.get("JSSL_TINY"))
count, steps = (48, 30) if tiny else (400, 1500)
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"

# %% [markdown]
# ## 1. Yours: pairs of views
# Two arrays are needed; row $i$ of both is a view of the same sample. In this example, they are shifted
# and noisy digits.

# %%
key = jax.random.key(0)
sample = images.subset(key, images.digits(), count)
view = views.compose(views.shift(1), views.noise(0.2))
made = pairs.flatten(pairs.make_pairs(jax.random.fold_in(key, 1), jnp.asarray(sample.x), view))
first, second = np.asarray(made.first), np.asarray(made.second)  # yours: (n, features) each
labels = sample.labels  # yours: (n,) integers, or None

# %% [markdown]
# ## 2. Before training: what can be learned?
# The contrastive kernel of the data answers this without training. Its eigenvalues
# $\gamma_1 > \gamma_2 > \dots$ give the order of the dimensions, and $\tau_j \approx -\log(\gamma_j
# s^2)/(8\gamma_j)$ their times (notebook 01). A negative $\gamma$ is a direction in which the views disagree,
# which is never learned. For a network, its kernel takes the place of the linear one.

# %%
top = 16 if tiny else 24
with float64():
    mean = np.concatenate([first, second]).mean(0)
    data = jssl.Pairs(*(jnp.asarray(view - mean, jnp.float64) for view in (first, second)))
    linear = stepwise.modes(pairs.cross_moment(data)).eigenvalues
    net = mlp(first.shape[1], 8, depth=2, activation="erf", dtype=jnp.float64)
    gram = infinite_gram(net, data)
    modes = contrastive_modes(gram, top)
    found = stepwise.suggest(pairs.cross_moment(data), 8, dtype=np.float32)
    times = np.asarray(stepwise.critical_time(jnp.full(top, 1e-3), linear[:top]))
linear = np.asarray(linear)
print(f"linear encoder: {int((linear > 0).sum())} of {len(linear)} directions can be learned")
print(
    f"8 dimensions: learning rate {found.learning_rate:.3g}, start {found.start_scale:g}, "
    f"{found.steps:,} steps. {found.message}"
)
figure, (left, right) = new_figure(2, width=4.6)
for values, colour, name in ((linear, BLUE, "linear"), (modes.eigenvalues, ORANGE, "infinite MLP")):
    shown = np.asarray(values[:top])
    left.plot(np.arange(1, len(shown) + 1), shown / shown[0], "o-", color=colour, ms=4, label=name)
left.set(yscale="log", xlabel="dimension", ylabel="eigenvalue over the largest")
left.set_title("eigenvalues of the pairs")
left.legend(frameon=False)
right.plot(np.arange(1, top + 1), times, "o-", color=BLUE, ms=4)
right.set(yscale="log", xlabel="dimension", ylabel="t = learning rate × step")
right.set_title("times of a linear encoder")
figure

# %% [markdown]
# `jssl.predict` does the same for a loss of your choice. It tests on held-out pairs which dimensions are
# distinguishable from sampling noise, and lists its caveats:

# %%
forecast = jssl.predict((first, second), loss="simclr", dim=16, kernel="mlp-erf-2")
print("\n".join((*forecast.summary, *forecast.caveats)))

# %% [markdown]
# ## 3. Yours: a trained encoder
# You can use any library. This example trains an MLP with the loss of SimCLR and Adam in a plain optax
# loop, and keeps the embeddings of a few steps.

# %%
model, loss = mlp(first.shape[1], 16, width=128, depth=2), losses.get("nt_xent", temperature=0.5)
optimiser = optax.adam(1e-3)
x, y = jnp.asarray(first, jnp.float32), jnp.asarray(second, jnp.float32)


@jax.jit
def train(params, state, keep):
    def step(_, carry):
        params, state = carry
        objective = lambda p: loss(model.apply(p, x), model.apply(p, y))  # noqa: E731
        updates, state = optimiser.update(jax.grad(objective)(params), state, params)
        return optax.apply_updates(params, updates), state

    return jax.lax.fori_loop(0, keep, step, (params, state))


params = model.init(key)
state, at, checkpoints = optimiser.init(params), 0, {}
for stop in np.unique(np.geomspace(1, steps, 20).astype(int)):
    params, state = train(params, state, stop - at)
    at = int(stop)
    checkpoints[at] = np.asarray(model.apply(params, x))
z, other = checkpoints[at], np.asarray(model.apply(params, y))  # yours: (n, dim) each

# %% [markdown]
# ## 4. After training: what has been learned?
# The spectrum of the embeddings shows how many dimensions they use: the effective rank is
# $\exp(-\sum_i p_i \log p_i)$ with $p_i$ the share of singular value $i$. A linear probe shows how well
# they separate the classes. The overlap with the leading modes of the kernel compares them with theory.

# %%
half = count // 2
with float64():
    start = checkpoints[1]
    for name, e in (("first step", start), ("trained", z)):
        accuracy = ridge_probe(e[:half], labels[:half], e[half:], labels[half:])
        print(
            f"{name}: effective rank {float(effective_rank(e)):.1f} of {e.shape[1]}, "
            f"probe accuracy {float(accuracy):.2f}"
        )
    theory = embed(modes, gram[:count])[:, :16]
    centred = z - z.mean(0)
    print(
        f"overlap with the leading kernel modes: {float(subspace_overlap(theory, centred)):.2f}, "
        f"chance {16 / count:.2f}"
    )
    features = jssl.Pairs(*(np.float64(e - z.mean(0)) for e in (z, other)))
    dims = collapse(features.first, features.second)
    print(
        f"a linear head on these embeddings keeps {int(dims.certain_rank)} to "
        f"{int(dims.possible_rank)} dimensions under SimCLR's placement of the views"
    )

figure, (ax,) = new_figure(1, width=5.5, height=3.6)
for e, colour, name in ((start, ORANGE, "first step"), (z, BLUE, "trained")):
    values = np.asarray(spectrum(covariance(jnp.asarray(e))))
    ax.plot(np.arange(1, 17), values / values[0], "o-", color=colour, ms=4, label=name)
ax.set(yscale="log", xlabel="dimension", ylabel="variance over the largest")
ax.set_title("the spectrum of the embeddings")
ax.legend(frameon=False)
figure

# %% [markdown]
# `jssl.diagnose` computes all of this and more in one call; `jssl diagnose embeddings.npy` writes
# it as a page:

# %%
diagnosis = jssl.diagnose(
    z, labels=labels, views=other, checkpoints={str(k): e for k, e in checkpoints.items()}
)
print("\n".join((*diagnosis.summary, *diagnosis.caveats)))

# %% [markdown]
# ## 5. Over checkpoints: when was each dimension learned?

# %%
with float64():
    logged = np.array(
        [np.asarray(spectrum(covariance(e.astype(np.float64)))) for e in checkpoints.values()]
    )
    found = detect_steps(np.array(list(checkpoints)), logged)
print(f"dimensions learned: {int(found.learned)}; distinct steps: {int(found.distinct)}")
figure, (ax,) = new_figure(1, width=6, height=3.6)
draw_modes(ax, list(checkpoints), logged)
ax.set(xscale="log", yscale="log", xlabel="step", ylabel="variances of the embeddings")
ax.set_title("dark: the largest variance, light: the smallest")
figure

# %% [markdown]
# The loss of SimCLR does not depend on the scale of the embeddings, and the start is a standard one, so
# all dimensions are learned at the same time (Simon et al. 2023, figure 3). From a small start under
# Barlow Twins the steps are separate: see notebook 00.
