# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Isotropic regularisers: what LeJEPA keeps, and when
#
# **What you will see.** The loss SIGReg does not vanish on perfect embeddings (figure 1). Dimensions
# are learned one after the other, each rises above its target and shrinks again (figure 2). At the
# end only the share of noise in each direction matters (figure 3). All of it is theory and training
# of the same problem, in a minute on a laptop.

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
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from jssl import losses
from jssl.diagnostics import gaussian_distance
from jssl.theory import isotropy

TINY = bool(os.environ.get("JSSL_TINY"))

# %% [markdown]
# ## The loss of perfect embeddings
#
# SIGReg compares random projections of a batch with a normal law. Its mean on batches of N(0, I) is
# known exactly, and is the same for every size of the batch.

# %%
batches = 200 if TINY else 2000
figure, ax = plt.subplots(figsize=(5, 3))
for samples in (16, 64):
    z = jax.random.normal(jax.random.key(samples), (batches, samples, 4))
    values = jax.jit(jax.vmap(lambda z: losses.sigreg(z, z, slices=1)))(z)
    print(
        f"batches of {samples}: mean {values.mean():.3f}, predicted {isotropy.floor(grid='code'):.3f}"
    )
    ax.hist(np.asarray(values), 40, density=True, histtype="step", label=f"batches of {samples}")
ax.axvline(isotropy.floor(grid="code"), color="k", ls="--", label="exact mean")
ax.set(xlabel="SIGReg of one slice", ylabel="density")
ax.legend()
plt.show()

# %% [markdown]
# ## One dimension after another
#
# A linear encoder of Gaussian views with four modes. The variances are those of a view; here the
# views do not differ, so that every mode ends at one.

# %%
variances, noises, strength = np.array([1.0, 0.8, 0.6, 0.4]), np.zeros(4), 5.0
start = np.full(4, 1e-6)
times = np.linspace(0.1, 60, 300)
figure, ax = plt.subplots(figsize=(6, 3))
curves = isotropy.trajectory(times, start, variances, noises, strength)
ax.plot(times, curves)
for time in isotropy.half_times(start, variances, noises, strength):
    ax.axvline(time, color="0.8", lw=0.8)
ax.axhline(1, color="k", lw=0.5)
ax.set(xlabel="time", ylabel="eigenvalue", title="SIGReg: rise, overshoot, shrink")
plt.show()
print("rates of a small mode after k others:", isotropy.late_rates(4).round(3))

# %% [markdown]
# ## What is kept
#
# With noise, mode j ends where minus the slope of the regulariser equals its share of noise over the strength. Below a strength
# the noisiest mode is lost.

# %%
shares = np.array([0.05, 0.1, 0.3])
strengths = np.geomspace(1, 100, 12 if TINY else 60)
ends = np.array([isotropy.end_state(shares, s).eigenvalues for s in strengths])
figure, ax = plt.subplots(figsize=(5, 3))
ax.semilogx(strengths, ends)
ax.axvline(isotropy.strength_that_keeps(shares, 2), color="k", ls=":", label="third mode is kept")
ax.set(xlabel="strength", ylabel="final eigenvalue")
ax.legend()
plt.show()
print(
    "LeJEPA at trade-off 0.05, 256 samples, 64 dimensions has strength "
    f"{isotropy.effective_weight(0.05, 256, 64):,.0f}"
)

# %% [markdown]
# ## Your own embeddings
#
# `gaussian_distance` is 0 for an isotropic Gaussian and 1 for a constant embedding, with an error.

# %%
z = jax.random.normal(jax.random.key(0), (1000, 8))
for name, x in {
    "Gaussian": z,
    "flat spectrum lost": z * jnp.arange(1, 9),
    "signs": jnp.sign(z),
}.items():
    found = gaussian_distance(x)
    print(f"{name}: {found.value:.4f} ± {found.error:.4f}")
