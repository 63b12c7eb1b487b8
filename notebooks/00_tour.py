# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # A tour of jssl: theory and simulation of one problem
#
# A linear encoder learns from pairs of images. You will predict when it learns each dimension of
# its embedding, train it, and compare the two. The eigenvalues of the embedding rise one after the
# other, at the times that a closed form gives (Simon et al. 2023, arXiv 2303.15438).
#
# The four terms that are used below:
#
# - A **positive pair** is two views $x_i$, $x_i'$ of one sample: here two small shifts of one image.
# - $C = \frac{1}{2n}\sum_i \left(z_i z_i'^\top + z_i' z_i^\top\right)$ is the **cross-correlation** of
#   the embeddings $z = f(x)$ of $n$ positive pairs. An eigenvalue of $C$ near 0 means that a dimension is
#   not learned, an eigenvalue of 1 that it is.
# - A **mode** is an eigenvector, with its eigenvalue $\gamma_j$, of the same matrix $\Gamma$ computed
#   from the data instead of the embeddings. The encoder learns one mode with each eigenvalue of $C$.
# - The **effective time** is $t = \text{learning rate} \times \text{number of steps}$. It makes runs of
#   different learning rates comparable with each other and with the theory.

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
from jssl.data import images, pairs, reduced, views
from jssl.models import linear
from jssl.optim import gradient_descent
from jssl.precision import float64
from jssl.simulation import log_spaced_steps
from jssl.theory import stepwise

# %% [markdown]
# ## 1. Data: positive pairs
# The data are 500 images of digits. Each of the two views is the image, shifted by at most one pixel.
# For a linear encoder $z = Wx$ the training depends on the data only through
# $\Gamma = \frac{1}{2n}\sum_i (x_i x_i'^\top + x_i' x_i^\top)$. Its eigenvalues are printed below.

# %%
count, dim, points = 500, 8, 800  # images, dimensions of the embedding, points of the figure

# %% tags=["remove-cell"] cellView="form" jupyter={"source_hidden": true}
if os.environ.get("JSSL_TINY"):
    count, dim, points = 60, 3, 200

# %%
key = jax.random.key(0)
with float64():
    sample = images.subset(key, images.digits(), count).x.astype(np.float64)
    two_views = pairs.make_pairs(jax.random.fold_in(key, 1), jnp.asarray(sample), views.shift(1))
    data = reduced.compress(pairs.flatten(two_views))
    gamma = pairs.cross_moment(data)
    modes = stepwise.modes(gamma)
print(np.asarray(modes.eigenvalues[:dim]).round(3))

# %% [markdown]
# ## 2. The problem
# A problem has four parts: pairs, a model, a loss and an optimiser. Here the weights start at a size
# of $10^{-6}$, the loss is the linearised Barlow Twins loss $\|C - I\|_F^2$, and the optimiser is
# gradient descent. The learning rate is 8 % of the largest stable one, $1/(4\gamma_1)$.

# %%
start, share = 1e-6, 0.08
with float64():
    rate = share / (4 * float(modes.eigenvalues[0]))
    problem = jssl.Problem(
        pairs=pairs.fixed(data),
        model=linear(data.first.shape[1], dim, scale=start, dtype=data.first.dtype),
        loss=losses.get("barlow_twins_linearized"),
        optimiser=gradient_descent(rate),
    )

# %% [markdown]
# ## 3. Simulate, predict, compare
# The simulation trains the encoder and records the eigenvalues of $C$. The prediction is a closed
# form. The half time of a mode is the effective time at which its eigenvalue is at half its final
# value.

# %%
with float64():
    slowest = float(modes.eigenvalues[dim - 1])
    last = int(1.2 * np.log(1e12 / slowest) / (8 * slowest) / rate)
    record = log_spaced_steps(last, points, 100)
    simulation = jax.jit(jssl.run(problem, record))(key)
    prediction = stepwise.predict(problem, simulation.t, key)
    comparison = jssl.compare(prediction, simulation)
off = comparison.half_times_simulated / comparison.half_times_predicted - 1
print(f"{last:,} steps; relative difference of the half times:", np.round(off, 4))

# %% [markdown]
# The first mode is learned about 4 % later than predicted. The closed form is that of an infinitely
# small step; a step of learning rate $\eta$ delays mode $j$ by the factor $1 + 2\eta\gamma_j$, which
# `stepwise.descent_half_time` takes into account. In the figure each colour is one eigenvalue of $C$.

# %%
figure = jssl.plot(prediction, simulation, title="One dimension a step")
figure

# %% [markdown]
# ## 4. How accurate the prediction is
# The closed form holds for a small start. `error_estimate` gives the error to expect from a start of
# this size, and says whether the encoder will learn exactly the top modes. `suggest` gives a learning
# rate, a start and a number of steps for which the steps are separate.

# %%
with float64():
    estimate = stepwise.error_estimate(start, modes.eigenvalues, dim)
    print(stepwise.explain(estimate))
    found = stepwise.suggest(gamma, dim, dtype=np.float32)
    print(
        f"learning rate {found.learning_rate:.3g}, start {found.start_scale:g}, "
        f"{found.steps:,} steps. {found.message}"
    )

# %% [markdown]
# ## Exercises
#
# 1. Set `share = 0.4` in section 2 and run sections 2 and 3 again. By how much is the first mode
#    later than predicted now? Compare it with $2\eta\gamma_1$.
# 2. Set `start = 1e-2` and run sections 2 to 4 again. Which steps of the figure are no longer
#    separate? What does the error estimate say about them?
#
# ## Where next
#
# [The next notebook, 01_stepwise](01_stepwise.ipynb), trains many seeds, shows how small a start must
# be, and changes the loss. `jssl reproduce stepwise` checks all claims of the paper and writes a report.
# For an encoder of your own go to [07_your_encoder](07_your_encoder.ipynb).
