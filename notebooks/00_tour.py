# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # jssl in one tour: theory laid over simulation
#
# You will state one self-supervised problem, ask the theory and a simulation the same question,
# and see eigenvalue after eigenvalue of the embedding rise in a staircase that a closed form
# predicts (Simon et al. 2023, arXiv 2303.15438).

# %%
# On Colab: keep its JAX, install the rest without TensorFlow.
import importlib.util

if importlib.util.find_spec("jssl") is None:
    # %pip install -q jssl
    # %pip install -q --no-deps neural-tangents==0.6.5 frozendict
    pass

# %%
# %matplotlib inline
import os

import jax
import jax.numpy as jnp
import numpy as np

import jssl
from jssl import losses
from jssl.data import images, pairs, views
from jssl.models import linear
from jssl.optim import gradient_descent
from jssl.precision import float64
from jssl.simulation import log_spaced_steps
from jssl.theory import stepwise

tiny = bool(os.environ.get("JSSL_TINY"))
count, dim = (60, 3) if tiny else (500, 8)

# %% [markdown]
# ## 1. Data: positive pairs
# Two views of each image, shifted by up to one pixel. All that a linear model knows of them is the
# matrix $\Gamma = \frac{1}{2n}\sum_i (x_i x_i'^\top + x_i' x_i^\top)$.

# %%
key = jax.random.key(0)
with float64():
    sample = images.subset(key, images.digits(), count).x.astype(np.float64)
    two_views = pairs.make_pairs(jax.random.fold_in(key, 1), jnp.asarray(sample), views.shift(1))
    data = pairs.compress(pairs.flatten(two_views))
    gamma = pairs.cross_moment(data)
    modes = stepwise.modes(gamma)
print(np.asarray(modes.eigenvalues[:dim]).round(3))

# %% [markdown]
# ## 2. The problem, stated once
# A linear encoder from a start of $10^{-6}$, the linearised Barlow Twins loss
# $\|C - I\|_F^2$, plain gradient descent. The learning rate is a share of the stability limit
# $1/(4\gamma_1)$.

# %%
with float64():
    rate = 0.02 / float(modes.eigenvalues[0])
    problem = jssl.Problem(
        pairs=pairs.fixed(data),
        model=linear(data.first.shape[1], dim, scale=1e-6, dtype=data.first.dtype),
        loss=losses.get("barlow_twins_linearized"),
        optimiser=gradient_descent(rate),
    )

# %% [markdown]
# ## 3. Ask the simulation, ask the theory

# %%
with float64():
    slowest = float(modes.eigenvalues[dim - 1])
    last = int(1.2 * np.log(1e12 / slowest) / (8 * slowest) / rate)
    record = log_spaced_steps(last, 200 if tiny else 800, 100)
    simulation = jax.jit(jssl.run(problem, record))(key)
    prediction = stepwise.predict(problem, simulation.t, key)
    comparison = jssl.compare(prediction, simulation)
off = comparison.half_times_simulated / comparison.half_times_predicted - 1
print(f"{last:,} steps; half times differ by", np.round(off, 4))

# %% [markdown]
# The first mode is late by about 4 %: a finite step delays it by $2\,\eta\gamma_1$, which
# `stepwise.descent_half_time` accounts for.

# %%
figure = jssl.plot(prediction, simulation, title="One dimension a step")
figure

# %% [markdown]
# ## 4. What the theory cannot promise
# How far a generic small start is from the closed form, and whether the learned subspace is the top
# one at all, is part of the answer.

# %%
with float64():
    estimate = stepwise.error_estimate(1e-6, modes.eigenvalues, dim)
    print(stepwise.explain(estimate))
    found = stepwise.suggest(gamma, dim, dtype=np.float32)
    print(
        f"learning rate {found.learning_rate:.3g}, start {found.start_scale:g}, "
        f"{found.steps:,} steps; {found.message}"
    )

# %% [markdown]
# From here: `jssl reproduce stepwise` runs all claims of the paper and writes a report.
