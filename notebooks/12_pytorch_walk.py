# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # A PyTorch encoder: watch it train, stop a collapse, choose a checkpoint, compare two layers
#
# **What you will see.** A small PyTorch encoder of digit images is trained by VICReg. A monitor logs
# its ranks, alignment and uniformity (figure 1) and ends a second run, whose loss has a common
# mistake, when it collapses. Then a checkpoint is chosen without labels (figure 2), and the backbone
# is compared with the projector (figure 3). Where PyTorch is not installed, the first cell below says
# so, and the same encoder is trained in JAX; all that follows is the same.

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

import numpy as np
from sklearn.datasets import load_digits

import jssl
from jssl.figures import new_figure

try:
    import torch
    from torch import nn
except ImportError:
    torch = None
library = (
    "JAX, because PyTorch is not installed" if torch is None else f"PyTorch {torch.__version__}"
)
print(f"The encoder is trained with {library}.")
tiny = bool(os.environ.get("JSSL_TINY"))
steps, every, batch, images = (120, 20, 64, 200) if tiny else (1200, 20, 256, 1000)

# %% [markdown]
# ## 1. The data and the encoder
# Two views of an image are shifted by up to one pixel and noisy.

# %%
digits = load_digits()
pictures, labels = digits.images / 16, digits.target
draws = np.random.default_rng(0)


def view(x):
    shifts = draws.integers(-1, 2, size=(len(x), 2))
    moved = [np.roll(image, tuple(shift), axis=(0, 1)) for image, shift in zip(x, shifts)]
    noisy = np.stack(moved) + 0.1 * draws.normal(size=x.shape)
    return noisy.reshape(len(x), -1).astype(np.float32)


def batch_of_views():
    chosen = draws.choice(len(pictures), batch, replace=False)
    return view(pictures[chosen]), view(pictures[chosen])


# %% [markdown]
# The loss is VICReg: views agree, every output has a standard deviation of at least 1, and outputs are
# uncorrelated. `variance=0` is the mistake: without these two terms, equal outputs for all images are the
# minimum.

# %%
if torch is not None:

    def vicreg(za, zb, variance):
        agreement = (za - zb).pow(2).mean()
        spread, mixed = 0, 0
        for z in (za, zb):
            z = z - z.mean(0)
            spread = spread + torch.relu(1 - (z.var(0) + 1e-4).sqrt()).mean()
            covariance = z.T @ z / (len(z) - 1)
            mixed = mixed + (covariance.pow(2).sum() - covariance.diagonal().pow(2).sum()) / 32
        return 25 * agreement + variance * (25 * spread + mixed)

    class Encoder(nn.Module):
        def __init__(self, variance=1.0):
            super().__init__()
            torch.manual_seed(0)
            self.variance = variance
            self.backbone = nn.Sequential(
                nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU()
            )
            self.projector = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32))
            self.optimiser = torch.optim.Adam(self.parameters(), 1e-3)

        def forward(self, x):
            return self.projector(self.backbone(x))

        def step(self, first, second):
            za, zb = self(torch.from_numpy(first)), self(torch.from_numpy(second))
            self.optimiser.zero_grad()
            vicreg(za, zb, self.variance).backward()
            self.optimiser.step()
            return za, zb

        @torch.no_grad()
        def layers(self, x):
            h = self.backbone(torch.from_numpy(x))
            return {"backbone": h, "projector": self.projector(h)}


# %% tags=["hide-input"]
# The same encoder in JAX, for an environment without PyTorch.
if torch is None:
    import jax
    import jax.numpy as jnp
    import optax

    optimiser = optax.adam(1e-3)

    def dense(key, rows, columns):
        bound = rows**-0.5  # as nn.Linear starts
        keys = jax.random.split(key)
        uniform = [
            jax.random.uniform(k, s, minval=-bound, maxval=bound)
            for k, s in zip(keys, ((rows, columns), (columns,)))
        ]
        return dict(zip(("weight", "bias"), uniform))

    def apply(params, x):
        for name, hidden in (("a", True), ("b", True), ("c", True), ("d", False)):
            x = x @ params[name]["weight"] + params[name]["bias"]
            x = jax.nn.relu(x) if hidden else x
            if name == "b":
                h = x
        return h, x

    def vicreg(params, first, second, variance):
        za, zb = apply(params, first)[1], apply(params, second)[1]
        spread, mixed = 0, 0
        for z in (za, zb):
            z = z - z.mean(0)
            spread = spread + jax.nn.relu(1 - jnp.sqrt(z.var(0, ddof=1) + 1e-4)).mean()
            covariance = z.T @ z / (len(z) - 1)
            mixed = mixed + ((covariance**2).sum() - (jnp.diag(covariance) ** 2).sum()) / 32
        return 25 * ((za - zb) ** 2).mean() + variance * (25 * spread + mixed), (za, zb)

    @jax.jit
    def jax_step(params, state, first, second, variance):
        gradient, outputs = jax.grad(vicreg, has_aux=True)(params, first, second, variance)
        updates, state = optimiser.update(gradient, state)
        return optax.apply_updates(params, updates), state, outputs

    class Encoder:
        def __init__(self, variance=1.0):
            sizes = {"a": (64, 128), "b": (128, 64), "c": (64, 64), "d": (64, 32)}
            keys = jax.random.split(jax.random.key(0), 4)
            self.params = {
                name: dense(key, *size) for key, (name, size) in zip(keys, sizes.items())
            }
            self.state, self.variance = optimiser.init(self.params), variance

        def step(self, first, second):
            self.params, self.state, outputs = jax_step(
                self.params, self.state, first, second, self.variance
            )
            return outputs

        def layers(self, x):
            return dict(zip(("backbone", "projector"), apply(self.params, x)))


# %% [markdown]
# ## 2. Train, and log
# The monitor is fed the embeddings of each batch as they are. It adds them to means and second moments on
# their device, and forgets old batches as the encoder changes. Every 20 steps its metrics are logged:
# a flat dictionary, as `wandb.log(metrics, step=step)` or `trackio.log(metrics)` take it. Embeddings of the
# first images and of second views of them are kept at a few steps.

# %%
held = view(pictures[:images]), view(pictures[:images])
encoder, monitor = (
    Encoder(),
    jssl.Monitor(name="projector", half_life=4 * batch, raise_on="collapse"),
)
log, checkpoints, seconds = [], {}, {}
for step in range(1, steps + 1):
    za, zb = encoder.step(*batch_of_views())
    monitor.update(za, zb)
    if step % every == 0:
        log.append({"step": step, **monitor.metrics()})
    if step in (1, steps // 40, steps // 8, steps // 2, steps):
        checkpoints[f"step {step}"] = encoder.layers(held[0])
        seconds[f"step {step}"] = encoder.layers(held[1])["backbone"]
last = log[-1]
print(", ".join(f"{key} {value:.4g}" for key, value in last.items()))

# %% [markdown]
# ## 3. A run that collapses is stopped
# The same with the mistake in the loss. `raise_on="collapse"` ends the run with an error of one line, which
# carries the metrics.

# %%
broken, watch = (
    Encoder(variance=0.0),
    jssl.Monitor(name="projector", half_life=4 * batch, raise_on="collapse", patience=2),
)
lost = []
try:
    for step in range(1, steps + 1):
        watch.update(*broken.step(*batch_of_views()))
        if step % every == 0:
            lost.append({"step": step, **watch.metrics()})
    stopped = None
except jssl.CollapseError as error:
    stopped = step
    lost.append({"step": step, **error.metrics})
    print(f"step {step} of {steps}: {error}")
if stopped is None:
    print("This run was too short to collapse.")

# %%
shown = {
    "effective_rank": "effective rank of 32",
    "spread": "variance over mean square",
    "alignment": "distance of views (alignment)",
    "uniformity": "uniformity",
}
figure, axes = new_figure(4, width=4.2, height=2.6)
for ax, (key, name) in zip(axes, shown.items()):
    for rows, colour, run in (
        (log, "#0072b2", "VICReg"),
        (lost, "#d55e00", "without the variance term"),
    ):
        at = [row["step"] for row in rows]
        ax.plot(at, [row[f"projector/{key}"] for row in rows], color=colour, label=run)
    ax.set(xscale="log", xlabel="step", ylabel=name)
axes[1].set_yscale("log")
axes[0].legend(frameon=False, fontsize=8)
figure

# %% [markdown]
# The loss of the broken run only falls, and its views agree better than those of the good one: neither shows
# that all images have nearly the same embedding. The effective rank does not show it either: it is high, because what
# is left is noise in many directions. The variance as a share of the mean square and the uniformity show it.
#
# ## 4. Choose a checkpoint without labels
# Two label-free criteria of the backbone at the checkpoints, on the same images: RankMe, with the
# probability of being first over the choice of the images, and LiDAR, which knows the second views. The accuracy of a
# probe, which needs labels, is printed beside them to judge the criteria.

# %%
backbones = {name: layers["backbone"] for name, layers in checkpoints.items()}
chosen = jssl.compare_encoders(backbones)
table = []
for name, probability in zip(chosen.names, chosen.ranking.first):
    seen = jssl.diagnose(backbones[name], labels=labels[:images], views=seconds[name])
    values = {key: metric.value for key, metric in seen.metrics.items()}
    probe = next(value for key, value in values.items() if key.startswith("linear probe"))
    table.append((name, values["RankMe"], probability, values.get("LiDAR", np.nan), probe))
print("checkpoint     RankMe   first   LiDAR   probe")
for name, rank, probability, lidar, probe in table:
    print(f"{name:12s} {rank:8.2f} {probability:7.3f} {lidar:7.2f} {probe:7.3f}")
for column, criterion in ((1, "RankMe"), (3, "LiDAR"), (4, "the probe")):
    print(f"{criterion} chooses {max(table, key=lambda row: row[column])[0]}.")
trained = list(backbones.items())[-3:]
late = jssl.compare_encoders(dict(trained))
print(f"Among the last three checkpoints: {late.summary[0]}")
print(chosen.caveats[0])
chosen.plot()

# %% [markdown]
# RankMe compares *trained* encoders of one method. At the first steps it measures the noise that an untrained network
# passes on in all dimensions, so leave those checkpoints out, and look at the alignment and the
# uniformity as well. Where a few labels exist, the probe decides.

# %% [markdown]
# ## 5. Compare two layers
# Most methods train the projector's output and use the backbone's. The projector keeps what the loss asks for, and the
# backbone more than that.

# %%
compared = jssl.compare_encoders(encoder.layers(held[0]), labels=labels[:images])
print(compared)
compared.plot()

# %% [markdown]
# `compared.write("layers")` and `jssl compare layers.npz` write this as a page. On the command line,
# `jssl diagnose embeddings.npy --fail-on collapse` has the exit status 3 for collapsed embeddings, so that a
# job can stop.
#
# ## 6. The same in Lightning
# The callback feeds a monitor with the outputs of a named layer and logs with the loggers of the trainer:
#
# ```python
# from jssl.monitor.lightning import MonitorCallback
#
# monitor = jssl.Monitor(name="projector", raise_on="collapse")
# trainer = lightning.Trainer(callbacks=[MonitorCallback(monitor, layer="projector", every=100)])
# trainer.fit(module, loader)
# ```
