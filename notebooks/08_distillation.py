# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Self-distillation: what JEPA learns, in which order, and what it keeps
#
# **What you will see.** A JEPA predicts the embedding of one view from another; a masked autoencoder
# predicts the view itself. For linear encoders theory gives the time at which each direction is learned.
# You will train both beside their predictions (figure 1), find the window in which they learn in a different
# order (figure 2), watch a learned direction being displaced by another one (figure 3), and see on masked digits
# which directions are kept at the end (figure 4). After Littwin et al. 2024, arXiv 2407.03475.

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
from jssl.data import images, pairs
from jssl.data.masks import masked_moments
from jssl.data.moments import Moments, pairs_with_moments
from jssl.figures import new_figure
from jssl.losses import jepa, reconstruction_objective, target_objective
from jssl.models import aligned, linear_head, linear_stack
from jssl.optim import gradient_descent
from jssl.precision import float64
from jssl.theory import distillation

tiny = bool(os.environ.get("JSSL_TINY"))
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")

# %% [markdown]
# ## 1. Two objectives, two modes
# With a context $x$ and a target $y$, an encoder $W = W_L \cdots W_1$ and a predictor $V$, the loss is
#
# $$L = \tfrac12\,\mathbb E\,|V W x - \mathrm{sg}(T y)|^2, \qquad T = W \text{ (JEPA)}, \quad T = I \text{ (masked autoencoder).}$$
#
# A mode has a covariance $\lambda$ of context and target, and a regression coefficient $\rho$: $\lambda$ divided by the
# variance of the context. Noise in the context lowers $\rho$ and leaves $\lambda$. From an aligned start of
# size $w_0$ every layer of a mode and its predictor equal one number $w$. Here both modes have $\lambda = 1$.


# %%
def train(moments, start, rate, steps, objective="jepa", **options):
    """Return times, encoders (points, dim, m) of descent on the given moments."""
    decoder = objective == "mae"
    make = reconstruction_objective if decoder else target_objective
    loss = () if decoder else (jepa,)
    problem = jssl.Problem(
        pairs.fixed(pairs_with_moments(moments)),
        aligned(len(moments.context), start=start, decoder=decoder, **options),
        jepa,
        gradient_descent(rate),
        make(linear_stack, linear_head, *loss),
    )
    size = len(moments.context)

    def observe(params, _):
        return {"encoder": linear_stack(params["online"], jnp.eye(size)).T}

    record = np.unique(np.linspace(0, steps, 400).astype(int))
    seen = jax.jit(jssl.run(problem, record, observe))(jax.random.key(0))
    return np.asarray(seen.t), np.asarray(seen.observables["encoder"])


def modes_along_the_axes(covariances, coefficients):
    lam, rho = np.array(covariances), np.array(coefficients)
    return Moments(np.diag(lam / rho), np.diag(lam), np.diag(lam * rho + 0.1))


lam, rho, start, depth = np.ones(2), np.array([0.3, 0.8]), 0.05, 2
figure, axes = new_figure(2, width=4.8)
with float64():
    for ax, name, rate, last in zip(axes, ("jepa", "mae"), (0.5, 0.01), (4500, 40)):
        t, encoder = train(
            modes_along_the_axes(lam, rho), start, rate, int(last / rate), name, depth=depth
        )
        layers = np.linalg.norm(encoder, axis=1) ** (1 / depth)
        curve = distillation.amplitude(t[:, None], lam, rho, start, depth=depth, objective=name)
        end = distillation.end_state(lam, rho, depth=depth, objective=name).layer
        for i, colour in enumerate(COLOURS[:2]):
            ax.plot(t, layers[:, i] / end[i], color=colour, label=f"coefficient {rho[i]}")
            ax.plot(t, curve[:, i] / end[i], "--", color="black", lw=1)
        times = distillation.critical_time(lam, rho, start, depth=depth, objective=name)
        print(f"{name}: half of the end at t =", np.asarray(times).round(1))
        ax.set(title={"jepa": "JEPA", "mae": "masked autoencoder"}[name])
        ax.set(xlabel="t = learning rate × step")
axes[0].set_ylabel("layer / its end")
axes[0].legend(frameon=False)
figure

# %% [markdown]
# Solid lines are descent, dashed ones the prediction. JEPA learns the mode with less noise first, a masked autoencoder
# learns both at almost one time. JEPA also ends smaller where the noise is larger: its encoder ends at $\rho^L$, that of a
# masked autoencoder at $\rho^{L/(L+1)}$.
#
# ## 2. When do they disagree?
# Give the noisy mode a larger covariance. If the ratio is large enough both objectives learn it first. The ratio at which
# two modes tie is `distillation.tie`; between the ties of the two objectives they disagree.

# %%
starts = np.geomspace(1e-3, 0.1, 20 if tiny else 80)
figure, (ax,) = new_figure(1, width=5.6)
with float64():
    for layers, colour in zip((1, 2, 3), COLOURS):
        for name, style in (("jepa", "-"), ("mae", ":")):
            ratio = distillation.tie(0.3, 0.8, starts, depth=layers, objective=name)
            label = f"{layers} layer{'s' if layers > 1 else ''}" if name == "jepa" else None
            ax.plot(starts, ratio, style, color=colour, label=label)
ax.set(xscale="log", xlabel="start of every layer", ylabel="ratio of covariances at the tie")
ax.set_ylim(0.85, 1.3)
ax.legend(frameon=False)
figure

# %% [markdown]
# The window closes in proportion to the start: from a small start JEPA orders modes by their covariance too.
# `distillation.order` gives the order of any number of modes, and says where it cannot be relied on.

# %%
with float64():
    found = distillation.order([1.0, 0.5, -0.1], [0.4, 0.8, -0.2], 0.003)
print("order:", found.modes, "times:", found.times.round(0))
for line in found.caveats:
    print("-", line)

# %% [markdown]
# ## 3. A learned mode is displaced
# The second caveat is no small correction. Once the first mode is learned, the second one grows in its output at the
# rate $\lambda_2\rho_1(1 - \rho_1/\rho_2)$ for one layer, whatever its own start is. A start that is aligned up to a small
# noise shows it.

# %%
figure, axes = new_figure(2, width=4.6)
with float64():
    moments = modes_along_the_axes([1.0, 0.5], [0.4, 0.8])
    for noise, colour in zip((1e-3, 1e-5, 1e-7), COLOURS):
        t, encoder = train(moments, 0.003, 0.2, 2000 if tiny else 6000, noise=noise)
        for i, ax in enumerate(axes):
            ax.plot(t, np.linalg.norm(encoder[:, :, i], axis=1), color=colour, label=f"{noise:g}")
for ax, title in zip(axes, ("covariance 1, coefficient 0.4", "covariance 0.5, coefficient 0.8")):
    ax.set(title=title, xlabel="t = learning rate × step", ylim=(0, 0.85))
axes[0].set_ylabel("amplitude in the encoder")
axes[1].axvline(found.times[1], color="black", ls="--", lw=1, label="separate modes")
axes[1].legend(frameon=False, title="noise of the start")
figure

# %% [markdown]
# The first mode falls almost to zero and is learned a second time. The time follows the logarithm of the noise; rounding
# errors alone are noise enough.
#
# ## 4. Masked digits: what is kept with few outputs
# Half of the 2 × 2 patches of a digit are the context, the others are the target. The moments over all masks are exact;
# nothing is sampled. With four outputs for 24 directions something has to go.

# %%
x = images.digits().x.astype(float)
x -= x.mean(0)
moments = masked_moments(x, patch=2)
flat = x.reshape(len(x), -1)
basis = np.linalg.eigh(flat.T @ flat)[1][:, ::-1][:, :24].T
unit = np.linalg.eigvalsh(moments.cross)[-1]
moments = Moments(*(basis @ matrix @ basis.T / unit for matrix in moments))
modes = distillation.regression_modes(moments, 6)
print("covariances: ", modes.covariances.round(3))
print("coefficients:", modes.coefficients.round(3))

spaces = {
    "largest regression coefficients": distillation.selected_subspace(moments, 4),
    "reduced-rank regression": distillation.selected_subspace(moments, 4, objective="mae"),
    "largest covariances": modes.vectors[:4],
}
figure, axes = new_figure(2, width=4.8)
with float64():
    for ax, name, rate, last in zip(axes, ("jepa", "mae"), (0.4, 0.25), (1200, 120)):
        steps = int(last / rate) // (10 if tiny else 1)
        t, encoder = train(moments, 0.03, rate, steps, name, out_dim=4, noise=0.1)
        rows = np.linalg.qr(encoder.transpose(0, 2, 1))[0]
        for (label, space), colour in zip(spaces.items(), COLOURS):
            overlap = np.sum((space @ rows) ** 2, axis=(1, 2)) / 4
            ax.plot(t[1:], overlap[1:], color=colour, label=label)
        ax.set(title={"jepa": "JEPA", "mae": "masked autoencoder"}[name], ylim=(0, 1.05))
        ax.set(xscale="log", xlabel="t = learning rate × step")
axes[0].set_ylabel("overlap of the row space with")
axes[0].legend(frameon=False, fontsize=8)
figure

# %% [markdown]
# On the way both come near the directions of the largest covariances. At the end JEPA keeps those that the context predicts
# best, and a masked autoencoder those that explain most of the target.
#
# **Where next.** `jssl reproduce distillation` tests 28 claims, each against the rival theories that it rejects:
# weight decay and collapse, learning rates of the predictor, averaged targets, IsoLoss, and a cosine loss. For a network of your own
# use `losses.target_model` and `losses.target_objective` with `loss=losses.jepa`, and `data.masked_pairs` for masks.
