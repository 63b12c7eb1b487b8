# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # The loss landscape: which dimensions survive, which collapse
#
# **What you will see.** A self-supervised loss is, for small weights, a quartic polynomial. An
# embedding dimension is learned if its eigenvalue of one matrix $B$, that of the quadratic part, is
# positive. You will see four minima become two and then one (figure 1), compare thresholds with
# the exact InfoNCE loss for different placements of the augmentation (figure 2), see when each mode is
# learned (figure 3), and prevent a collapse by normalisation, unless there is a bias (figure 4).
# Ziyin et al. 2023, *What shapes the loss landscape of self-supervised learning?*, arXiv 2210.00638.

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
from jssl.figures import new_figure
from jssl.models import linear
from jssl.optim import gradient_descent
from jssl.precision import float64
from jssl.theory import landscape

tiny = bool(os.environ.get("JSSL_TINY"))
CLEAN = "clean-augmented-clean"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")

# %% [markdown]
# ## 1. The matrix B
# The data have the covariance $A_0$, an additive augmentation has the covariance $C$, and the encoder is
# $z = Wx$. To fourth order in $W$ the loss is
#
# $$L(W) = -\mathrm{Tr}[W (B - \gamma I) W^\top] + c_4\,\mathrm{Tr}[(W\Sigma W^\top)^2],$$
#
# where $\gamma$ is the weight decay. For InfoNCE with a clean anchor, an augmented positive and clean
# negatives $B = A_0 - C/2$: a mode survives while $c_i < 2a_i$. With two weights,
# $W = \mathrm{diag}(w_1, w_2)$, the landscape can be drawn.

# %%
data = np.array([1.0, 0.4])
figure, axes = new_figure(3, width=3.6, height=3.4)
with float64():
    for ax, strength in zip(axes, (0.2, 1.2, 2.5)):
        form = landscape.form("info_nce_euclidean", data, strength, placement=CLEAN)
        grid = np.linspace(-1.5, 1.5, 31 if tiny else 101)
        weights = jnp.asarray([[np.diag([a, b]) for a in grid] for b in grid])
        values = np.asarray(landscape.energy(form, weights))
        levels = np.unique(np.quantile(values, np.linspace(0, 0.9, 16)))
        ax.contourf(grid, grid, values, levels=levels, cmap="cividis", extend="max")
        found = landscape.from_loss("info_nce_euclidean", data, strength, placement=CLEAN, dim=2)
        size = np.sqrt(np.diag(found.minima.gram))
        corners = {(i * size[0], j * size[1]) for i in (-1, 1) for j in (-1, 1)}
        ax.plot(*np.array(sorted(corners)).T, "x", color="#d55e00", ms=9, mew=2.5)
        ax.set(title=f"augmentation {strength:g}: rank {found.rank}", xlabel="first weight")
        ax.grid(visible=False)
        print(
            f"augmentation {strength}: rank {found.rank}, lost at",
            found.thresholds.augmentation * strength,
            f"({found.rank_trust})",
        )
axes[0].set_ylabel("second weight")
figure

# %% [markdown]
# Crosses are the predicted minima; darker is lower. All other stationary points are saddles:
# `found.masks()` lists them, and `found.hessian_spectrum(mask)` gives their curvatures.
#
# ## 2. Where the augmentation is placed
# The threshold depends on *which* views are augmented. SimCLR augments all of them. Then
# $B = A_0$, and no augmentation removes a dimension: weights become smaller, but the rank is unchanged. We
# minimise the **exact** InfoNCE loss of Gaussian data with infinitely many negatives and compare it with
# the theory.

# %%
placements = {
    "all views augmented (SimCLR)": "augmented-augmented-augmented",
    "only the positive augmented": CLEAN,
    "negatives clean": "augmented-augmented-clean",
}
variances = np.array([1.0, 0.6, 0.3])
strengths = np.linspace(0.2, 2.5, 3 if tiny else 20)
figure, axes = new_figure(3, width=4.0)


def exact_minima(placement):
    """Return the minimum of the exact loss at every strength, (strengths, 3, 3)."""

    def loss(weight, strength):
        covariances = landscape.views(jnp.asarray(variances), strength, placement)
        return landscape.gaussian_info_nce(weight, covariances)

    def end(strength):
        return landscape.minimise(loss, start, strength, tolerance=1e-8).point

    return np.asarray(jax.jit(jax.vmap(end))(jnp.asarray(strengths)))


with float64():
    start = 0.5 * jax.random.normal(jax.random.key(0), (3, 3), jnp.float64)
    for ax, (title, placement) in zip(axes, placements.items()):
        kept = np.linalg.svd(exact_minima(placement), compute_uv=False) ** 2
        lost = 2 * variances if placement != placements["all views augmented (SimCLR)"] else []
        theory = []
        for c in strengths:
            covariances = landscape.views(variances, c, placement)
            theory.append(landscape.gaussian_amplitudes(*(jnp.diagonal(v) for v in covariances)))
        theory = np.sort(np.asarray(theory), 1)[:, ::-1]
        for j, colour in enumerate(COLOURS[:3]):
            ax.plot(strengths, kept[:, j], "o", color=colour, ms=4)
            ax.plot(strengths, theory[:, j], "--", color="black", lw=1)
        for threshold in lost:
            ax.axvline(threshold, color="black", lw=0.8, ls=":")
        ax.set(title=title, xlabel="variance of the augmentation", ylim=(-0.1, 4))
axes[0].set_ylabel("squared weight of each mode")
figure

# %% [markdown]
# Dots: minima of the exact loss. Dashed: theory. Dotted: the thresholds $c = 2a_i$.
#
# ## 3. When each mode is learned
# From a small start the flow learns the modes one by one, in the order of $B_i - \gamma$:
#
# $$w_i^2(t) = \frac{w_*^2}{1 + (w_*^2/w_i^2(0) - 1)\,e^{-4(B_i - \gamma)t}}.$$
#
# The spectral contrastive loss is such a quartic polynomial for *any* data. The flow computed from the
# moments of the sample therefore agrees with a simulation on this sample. The formula above, with the
# moments of the population, agrees up to sampling noise.

# %%
augmentation, start_scale, rate = 0.5, 1e-2, 0.01
with float64():
    key = jax.random.key(1)
    count = 200 if tiny else 2000
    batch = toy.gaussian_pairs(key, count, jnp.asarray(variances), augmentation)
    problem = jssl.Problem(
        pairs=pairs.fixed(batch),
        model=linear(3, 3, scale=start_scale, dtype=jnp.float64),
        loss=losses.get("spectral_contrastive"),
        optimiser=gradient_descent(rate),
    )
    record = np.linspace(0, 700, 120, dtype=int)
    moved = jax.jit(
        jssl.run(problem, record, lambda p, _: {"squares": jnp.square(p["weight"]).sum(0)})
    )(key)
    both = jnp.concatenate(batch[:2])
    sampled = landscape.general_form(2 * pairs.cross_moment(batch), both.T @ both / len(both), 1.0)
    weight = problem.model.init(jssl.types.start_key(key))["weight"]
    flow = landscape.trajectory(sampled, weight, jnp.asarray(moved.t))
    own = np.square(flow.observables["weight"]).sum(1)
    squares = landscape.aligned_squares(
        jnp.asarray(moved.t)[:, None],
        jnp.square(weight).sum(0),
        2 * jnp.asarray(variances),
        jnp.square(jnp.asarray(variances) + augmentation),
    )
figure, (ax,) = new_figure(1, width=6, height=3.6)
for i, colour in enumerate(COLOURS[:3]):
    ax.plot(
        moved.t,
        moved.observables["squares"][:, i],
        color=colour,
        lw=2,
        label=f"descent, variance {variances[i]:g}",
    )
    ax.plot(
        moved.t, own[:, i], "--", color="black", lw=1, label="theory, sample moments" * (i == 2)
    )
    ax.plot(
        moved.t,
        squares[:, i],
        ":",
        color="black",
        lw=1.2,
        label="theory, population moments" * (i == 2),
    )
ax.set(xlabel="t = learning rate × step", ylabel="squared weight of each mode")
ax.set_title("modes are learned in the order of B")
ax.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 0.1))
figure

# %% [markdown]
# ## 4. Normalisation prevents collapse, unless there is a bias
# Add $\kappa\,\mathbb E(\|z\|^2 - 1)^2$ to the loss. Let $s_i$ be the strengths of the modes (eigenvalues of
# $\Sigma^{-1/2}(B-\gamma)\Sigma^{-1/2}$), $q_i$ their variances in the embedding, and $T = \sum_i q_i$. Without a
# bias the minimum is
#
# $$q_i = \frac{(s_i + 2\kappa - 2\kappa T)_+}{2(c_4 + 2\kappa)},$$
#
# and complete collapse is impossible once $2\kappa > -s_{\max}$. With a bias, $z = Wx + b$, the norm
# can come from the bias: normalisation then does not support the modes, and one output is constant. We
# minimise the loss itself from many starts.

# %%
strength, c4 = np.array([-0.1, -0.3, -0.6]), 0.5
kappas = np.linspace(0.02, 1.5, 3 if tiny else 18)


def loss(point, kappa, biased):
    """Return the loss of V = W Sigma^{1/2} (3, 3) and b (3,), x being standard normal."""
    weight, bias = point[:, :3], biased * point[:, 3]
    gram = weight @ weight.T
    norm = (jnp.trace(gram) + bias @ bias - 1) ** 2 + 2 * jnp.sum(gram**2) + 4 * bias @ gram @ bias
    return -jnp.sum(weight**2 @ strength) + c4 * jnp.sum(gram**2) + kappa * norm


figure, axes = new_figure(2, width=4.4)
with float64():
    starts = jax.random.normal(key, (2 if tiny else 4, 3, 4), jnp.float64)
    best_of = jax.jit(
        jax.vmap(
            lambda k, b: jax.vmap(lambda s: landscape.minimise(loss, s, k, b, tolerance=1e-8))(
                starts
            ),
            (0, None),
        )
    )
    for ax, biased in zip(axes, (0.0, 1.0)):
        ends = best_of(jnp.asarray(kappas), biased)
        best = np.asarray(ends.value).argmin(1)
        found = np.asarray(ends.point)[np.arange(len(kappas)), best][..., :3]
        kept = np.linalg.svd(found, compute_uv=False) ** 2
        solve = landscape.soft_normalisation if not biased else landscape.biased_minimum
        theory = [solve(jnp.asarray(strength), 3, quartic=c4, kappa=k) for k in kappas]
        theory = np.array([t if not biased else t.variances for t in theory])
        for j, colour in enumerate(COLOURS[:3]):
            ax.plot(kappas, kept[:, j], "o", color=colour, ms=4)
            ax.plot(kappas, np.sort(theory, 1)[:, ::-1][:, j], "--", color="black", lw=1)
        ax.set(title="with a bias" if biased else "no bias", ylim=(-0.02, 0.4))
        ax.set_xlabel("weight of the normalisation")
axes[0].axvline(-strength[0] / 2, color="black", ls=":", lw=0.8)
axes[0].set_ylabel("variance of each mode")
figure

# %% [markdown]
# All three strengths are negative, so without normalisation no mode survives. With increasing
# normalisation the modes survive one after the other; with a bias they do not.
#
# **Where next.** `jssl.diagnostics.collapse(first, second)` estimates $A_0$ and $C$ from your own pairs
# and the number of dimensions that survive; `landscape.collapsing_augmentation` designs an augmentation that
# removes only nuisance directions. `jssl reproduce landscape` runs the paper's claims.
