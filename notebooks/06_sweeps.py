# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Sweeps: thousands of runs as one labelled array
#
# **What you will see.** One call runs all combinations of seeds, widths and learning rates, on the CPU,
# GPU or TPU of this machine (in Colab: Runtime → Change runtime type). You will interrupt the sweep on purpose, resume
# it, and get the same bits; then open the result as an xarray dataset, draw learning curves with
# every seed (figure 1), the order in which dimensions are learned (figure 2), and write the report
# that `jssl report` writes.

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
import pathlib
import tempfile

import jax
import jax.numpy as jnp
import numpy as np

import jssl
from jssl import losses, models
from jssl.data import images, pairs, views
from jssl.figures import mode_colours, new_figure
from jssl.optim import gradient_descent
from jssl.simulation import log_spaced_steps

tiny = bool(os.environ.get("JSSL_TINY"))
jssl.use_all_cores()  # one CPU device per core; before the first array, no effect on a GPU
for device in jax.devices():
    print(device.platform, device.device_kind)

# %% [markdown]
# ## 1. A problem with free parameters
# `make_problem` is called inside the trace. Floats (the learning rate) become numbers of one program;
# names and whole numbers become separate programs, except `width` with a `max_width`, which
# may be padding where that is exact and faster.

# %%
x = images.subset(jax.random.key(0), images.digits(), 64).x
made = pairs.make_pairs(jax.random.key(1), jnp.asarray(x, jnp.float32), views.shift(1))
data = pairs.centre(pairs.flatten(made))


def make_problem(width, learning_rate, max_width=None):
    model = models.mlp(64, 4, width=width, max_width=max_width, depth=1, output_scale=0.1)
    return jssl.Problem(
        pairs.fixed(data),
        model,
        losses.get("barlow_twins_linearized"),
        gradient_descent(learning_rate),
    )


axes = {
    "width": [16, 32] if tiny else [16, 32, 64],
    "learning_rate": [1.0, 3.0],
    "seed": 3 if tiny else 8,
}
last = 200 if tiny else 1000
how = {
    "record_steps": log_spaced_steps(last, 12 if tiny else 40, 5),
    "chunk_seconds": 0.05,
    "seed_block": 2,
}

# %% [markdown]
# ## 2. Interrupt it, resume it
# With `store` the result is a zarr folder, committed chunk by chunk with checksums. We stop after the
# first chunk, as a lost Colab runtime would. In Colab, put the store on your Drive.

# %%
folder = pathlib.Path(tempfile.mkdtemp())
store = folder / "runs"
seen = []


def stop_early(progress):
    seen.append(progress)
    if progress.done:
        raise KeyboardInterrupt


try:
    jssl.sweep(make_problem, axes, store=store, progress=stop_early, **how)
except KeyboardInterrupt:
    print(f"stopped after {seen[-1].done} of {seen[-1].total} runs")

result = jssl.sweep(make_problem, axes, store=store, progress=seen.append, **how)
print(f"resumed and finished {seen[-1].done} of {seen[-1].total} runs")
result.drop_attrs()

# %% [markdown]
# The plan is stored with the result, and seed $i$ of every point starts from `fold_in(key(root), i)`
# only, so an uninterrupted sweep gives the same numbers:

# %%
whole = jssl.sweep(make_problem, axes, **how)
same = np.array_equal(whole.loss.values, result.loss.values, equal_nan=True)
apart = np.abs(whole.loss.values - result.loss.values).max()
print(f"equal bit for bit: {same}; largest difference: {apart}")

# %% [markdown]
# ## 3. Read the result
# Dimensions have names. A run that diverged is marked by
# `first_bad_step` and does not slow the other runs.

# %%
print("diverged runs:", int((result.first_bad_step >= 0).sum()))
figure, panels = new_figure(2, width=4.6)
for ax, rate in zip(panels, axes["learning_rate"]):
    for width, colour in zip(axes["width"], mode_colours(len(axes["width"]))):
        chosen = result.loss.sel(width=width).sel(learning_rate=rate, method="nearest")
        steps = np.maximum(chosen.step.values, 1)
        ax.plot(steps, chosen.values.T, color=colour, alpha=0.2, lw=0.7)
        ax.plot(steps, chosen.mean("seed"), color=colour, label=f"width {width}")
    ax.set(xscale="log", xlabel="step", title=f"learning rate {rate:g}")
panels[0].set_ylabel("loss, every seed and the mean")
panels[0].legend(frameon=False)
figure

# %%
values = result.eigenvalues.sel(width=axes["width"][-1]).isel(learning_rate=-1)
figure, (ax,) = new_figure(1, width=6, height=3.6)
for j, colour in enumerate(mode_colours(4)):
    ax.plot(steps, values.isel(mode=j).values.T, color=colour, alpha=0.25, lw=0.7)
    ax.plot(steps, values.isel(mode=j).mean("seed"), color=colour, label=f"dimension {j + 1}")
ax.set(xscale="log", xlabel="step", ylabel="eigenvalues of C", title=f"width {axes['width'][-1]}")
ax.legend(frameon=False, fontsize=8)
figure

# %% [markdown]
# ## 4. The report
# The report is one self-contained page with curves of every seed, final values with their errors, and
# exponents in the width. In Colab, download it from the file browser.

# %%
page, numbers = jssl.report.write_sweep_report(result, folder, "widths of an MLP on digits")
print(page.name, f"{page.stat().st_size / 1e3:.0f} kB;", numbers.name)

# %% [markdown]
# **Where next.** A study can also be a file, for example on a cluster: `jssl sweep study.toml --plan`
# prints programs, chunks, memory and time; `--shard 0/8` computes an eighth of it; `jssl report FOLDER`
# writes the report. `jssl.sweeps.sweep_until` adds seeds until a confidence interval is narrow enough.
