# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Stepwise learning: one dimension at a time
#
# **What you will see.** A linear encoder trained from a small start learns its embedding dimensions
# one after the other. You will compare a closed form with 16 seeds of gradient descent (figure 1), see
# how small a start has to be for the theory to hold (figure 2), and what changes with
# the off-diagonal weight of the Barlow Twins paper (figure 3). Simon et al. 2023, *On the
# stepwise nature of self-supervised learning*, arXiv 2303.15438.

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
from jssl.data import pairs, toy
from jssl.diagnostics import half_times
from jssl.figures import draw_modes, mode_colours, new_figure
from jssl.models import linear
from jssl.optim import gradient_descent
from jssl.precision import float64
from jssl.theory import stepwise

tiny = bool(os.environ.get("JSSL_TINY"))
seeds = 3 if tiny else 16

# %% [markdown]
# ## 1. The closed form
# For $z = Wx$ and the loss $L = \|C - I\|_F^2$ training depends on the data only through
# $\Gamma = \frac{1}{2n}\sum_i (x_i x_i'^\top + x_i' x_i^\top)$, since $C = W\Gamma W^\top$. From a
# small start the flow $\dot W = -4\,(W\Gamma W^\top - I)\,W\Gamma$ decouples into modes of $\Gamma$:
#
# $$\lambda_j(t) = \frac{\gamma_j}{\gamma_j + (s_j(0)^{-2} - \gamma_j)\,e^{-8\gamma_j t}},
# \qquad \tau_j = -\frac{\log(\gamma_j s_j(0)^2)}{8\gamma_j}.$$
#
# Each eigenvalue of $C$ is a sigmoid in $t$. Its time $\tau_j$ is proportional to $1/\gamma_j$ (up to a
# logarithm), so that the loss decreases in steps. We choose a spectrum with a negative eigenvalue: a direction in which the two views disagree, which
# is never learned.

# %%
spectrum = jnp.array([1.0, 0.5, 0.25, 0.125, -0.3])
dim, start, rate = 4, 1e-5, 0.01


def make_problem(scale=start, redundancy=1.0):
    return jssl.Problem(
        pairs=pairs.fixed(toy.pairs_with_cross_moment(spectrum)),
        model=linear(len(spectrum), dim, scale=scale, dtype=jnp.float64),
        loss=losses.get("barlow_twins_linearized", redundancy=redundancy),
        optimiser=gradient_descent(rate),
    )


with float64():
    spectrum = jnp.asarray(spectrum, jnp.float64)
    keys = jax.random.split(jax.random.key(0), seeds)
    record = np.linspace(0, 3600, 200 if tiny else 400, dtype=int)
    simulated = jax.jit(jax.vmap(jssl.run(make_problem(), record)))(keys)
    settings = [stepwise.read(make_problem(), key) for key in keys]
    starts = jnp.stack([setting.start_weight for setting in settings])
    times = simulated.t[0]
    predicted = jax.vmap(lambda w: stepwise.trajectory(times, settings[0].cross_moment, w))(starts)

# %%
figure, axes = new_figure(3, width=4.0)
draw_modes(axes[0], times, simulated.observables["eigenvalues"][0], label="descent")
draw_modes(axes[0], times, predicted.observables["eigenvalues"][0], dashed=True, label="theory")
axes[0].set(xlabel="t = learning rate × step", ylabel="eigenvalues of C", title="one seed")
axes[0].legend(frameon=False, loc="center", fontsize=8)
for values in simulated.observables["loss"]:
    axes[1].plot(times, values, color="#0072b2", alpha=0.4, linewidth=1)
axes[1].set(xlabel="t", ylabel="loss", title=f"loss of {seeds} seeds")
with float64():
    halves = [half_times(times, v) for v in simulated.observables["eigenvalues"]]
    expected = [half_times(times, v) for v in predicted.observables["eigenvalues"]]
for j, colour in enumerate(mode_colours(dim)):
    axes[2].plot(np.array(expected)[:, j], np.array(halves)[:, j], "o", color=colour, alpha=0.7)
axes[2].plot([1, 40], [1, 40], "--", color="black", linewidth=1)
axes[2].set(xscale="log", yscale="log", xlabel="predicted half time", ylabel="measured half time")
axes[2].set_title("every mode of every seed")
figure

# %%
late = np.array(halves) / np.array(expected) - 1
print("relative delay of each mode, mean over seeds:", late.mean(0).round(4))
print(
    "a finite step predicts 2 x rate x gamma_j:   ",
    np.round(2 * rate * np.asarray(spectrum[:dim]), 4),
)

# %% [markdown]
# The small delay is expected: at a finite learning rate $\eta$, mode $j$ is learned later by the factor
# $1 + 2\eta\gamma_j$.
#
# ## 2. How small is a small start?
# With a larger start the *steps* remain, but another *subspace* is learned. The share of the final
# weight outside the top modes, the leakage, is of the order
#
# $$\text{leakage} \sim \alpha^{\,1 - \gamma_{d+1}/\gamma_d}.$$
#
# If the next eigenvalue is close, $\gamma_{d+1}/\gamma_d = 0.8$, the exponent is only 0.2.

# %%
alphas = np.logspace(-6, -0.5, 5 if tiny else 12)
gaps = {"large gap: 0.05 after 0.5": [1.0, 0.5, 0.05], "small gap: 0.4 after 0.5": [1.0, 0.5, 0.4]}


def leakage(scale, key, values):
    """Train two outputs and return how much of the final weight lies outside the top two modes."""
    problem = jssl.Problem(
        pairs=pairs.fixed(toy.pairs_with_cross_moment(values)),
        model=linear(3, 2, scale=scale, dtype=jnp.float64),
        loss=losses.get("barlow_twins_linearized"),
        optimiser=gradient_descent(0.05),
    )

    def observe(params, _):
        weight = params["weight"]  # the modes of these pairs are the axes
        return {"leakage": jnp.linalg.norm(weight[:, 2:]) / jnp.linalg.norm(weight)}

    return jssl.run(problem, [400], observe)(key).observables["leakage"][-1]


with float64():
    over = jax.jit(jax.vmap(jax.vmap(leakage, (None, 0, None)), (0, None, None)))
    leaks = {name: np.asarray(over(alphas, keys, jnp.array(g))) for name, g in gaps.items()}

figure, (ax,) = new_figure(1, width=5.5, height=3.6)
for (name, values), colour in zip(leaks.items(), ["#0072b2", "#d55e00"]):
    ax.plot(alphas, np.median(values, 1), "o-", color=colour, label=name)
    ax.fill_between(alphas, values.min(1), values.max(1), color=colour, alpha=0.2, linewidth=0)
    slope = 1 - gaps[name][2] / gaps[name][1]
    line = np.median(values[0]) * (alphas / alphas[0]) ** slope
    ax.plot(alphas, line, "--", color="black", linewidth=1)
    fitted = np.polyfit(np.log(alphas[:4]), np.log(np.median(values, 1)[:4]), 1)[0]
    print(f"{name}: slope {fitted:.3f}, theory {slope:.3f}")
ax.set(xscale="log", yscale="log", xlabel="scale of the start", ylabel="leakage", ylim=(1e-6, 2))
ax.set_title("dashed: slope from theory; band: all seeds")
ax.legend(frameon=False)
figure

# %% [markdown]
# `stepwise.predict` warns in such a case. `stepwise.explain` describes the errors to expect, and
# `stepwise.suggest` gives a start and a learning rate before you run anything:

# %%
with float64():
    print(
        stepwise.explain(
            stepwise.error_estimate(1e-3, jnp.array(gaps["small gap: 0.4 after 0.5"]), 2)
        )
    )
    print(stepwise.suggest(jnp.diag(spectrum), dim, dtype=np.float32).message)

# %% [markdown]
# ## 3. The weight that Barlow Twins uses
# If the off-diagonal terms have a weight $\lambda < 1$, *all* outputs learn the first direction, and $C$
# exceeds 1. On the plateau with $k$ of $d$ modes learned, its eigenvalues $c_k$ and the growth of the
# next mode are
#
# $$c_k = \frac{1}{\kappa + \lambda(1-\kappa)}, \quad \kappa = k/d, \qquad
# \frac{d \log \lambda_{k+1}}{dt} = 8\,\gamma_{k+1}\,\lambda\,c_k.$$

# %%
weight = 0.05
with float64():
    record = np.linspace(0, 8000 if tiny else 36000, 400, dtype=int)
    one = jax.jit(jssl.run(make_problem(1e-4, weight), record))(keys[0])
    plateaus = stepwise.plateau(jnp.arange(1, dim + 1), dim, weight)
figure, (left, right) = new_figure(2, width=4.6)
draw_modes(left, one.t, one.observables["eigenvalues"])
left.set(xlabel="t", ylabel="eigenvalues of C", title=f"off-diagonal weight {weight}")
right.plot(one.t, one.observables["loss"], color="#0072b2", label="descent")
for k, (level, loss) in enumerate(zip(plateaus.level, plateaus.loss), 1):
    label = "theory" if k == 1 else None
    left.axhline(float(level), color="black", ls="--", lw=0.8)
    right.axhline(float(loss), color="black", ls="--", lw=0.8, label=label)
right.set(xlabel="t", ylabel="loss", ylim=(0, 0.7), title="plateaus of the loss")
right.legend(frameon=False)
figure

# %% [markdown]
# **Where next.** For wide networks, the contrastive kernel (`jssl.kernels.contrastive_modes`) takes the
# place of $\Gamma$; notebook 05 shows it. `jssl reproduce stepwise` runs the claims of the paper.
