"""Without a constraint, networks collapse as their frozen tangent kernel predicts.

The kernel is the tangent kernel at the start, averaged over the outputs. It neglects differences
between the kernels of the outputs and products between outputs, which are of relative order
1 / sqrt(width) in a random network. The error of the predicted function at a fixed time is
therefore of this order, and so is the component of the second mode in the direction that all
outputs approach. s2 / s1 does not fall below that component.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.data import pairs
from jssl.figures import new_figure
from jssl.kernels import empirical_ntk
from jssl.models import centred, mlp
from jssl.optim import gradient_descent
from jssl.papers.claims import at_least, at_most, close
from jssl.papers.grassmann.naive import DIM, NOISE, SOURCE, fit_exponent, noisy_pairs
from jssl.papers.outcome import Part, Settings
from jssl.papers.rivals import powers
from jssl.report.figure import Figure
from jssl.simulation import run
from jssl.single_use import compile_for_many_steps
from jssl.theory import grassmann
from jssl.types import Array, Claim, Model, Pairs, Params, Problem, Rival, start_key

FEATURES, COUNT, START, LAST = 6, 20, 1e-8, 200
SPECTRUM = (2.0, 1.2, 0.8, 0.5, 0.3, 0.2)
EARLY = LAST // 5
"""Step, and record point, at which the predicted s2 / s1 has fallen by e."""
STEPS = np.concatenate([np.arange(EARLY), np.arange(EARLY, LAST + 1, 10)])


class Networks(NamedTuple):
    """Networks of one width, trained from many seeds, and their frozen kernels.

    Attributes:
        outputs: (seeds, points, DIM, 2n) of the networks.
        kernel: (seeds, 2n, 2n) tangent kernel at the start.
        rate: (seeds,) learning rate.
        error: (seeds,) relative error of the frozen-kernel function when its fastest mode has grown
            by e. What the kernel neglects is small there; later it has compounded, the more so the
            closer the second mode is to the first.
    """

    outputs: np.ndarray
    kernel: np.ndarray
    rate: np.ndarray
    error: np.ndarray


class Ratios(NamedTuple):
    """Ratio s2 / s1 of the outputs of the widest networks, (seeds, points).

    Attributes:
        networks: measured.
        frozen: predicted by the frozen kernels.
    """

    networks: np.ndarray
    frozen: np.ndarray


def network_collapse(settings: Settings) -> Part:
    """Test the collapse of networks against that of their frozen kernels."""
    widths = {"quick": (64, 1024), "paper": (64, 256, 1024, 4096)}.get(
        settings.scale, (64, 256, 1024, 4096, 16384)
    )
    seeds = {"quick": 48, "paper": 64, "large": 128}[settings.scale]
    draw, begin = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 22))
    keys = jax.random.split(begin, seeds)
    data = noisy_pairs(draw, COUNT, SPECTRUM, NOISE)
    pairing = grassmann.pairing_matrix(COUNT)
    networks = {width: train(width, keys, data) for width in widths}
    errors = np.array([np.log(networks[width].error) for width in widths])
    widest = networks[widths[-1]]
    outputs_of = jax.jit(jax.vmap(grassmann.naive_outputs, (0, None, 0, 0)))
    times = np.multiply.outer(widest.rate, STEPS)
    flow = np.asarray(outputs_of(widest.kernel, pairing, widest.outputs[:, 0], times))
    ratios = Ratios(_second_over_first(widest.outputs), _second_over_first(flow))
    claims = [
        _exponent_claim(widths, errors),
        _growth_claim(widths[-1], widest, flow, np.asarray(pairing)),
        *_collapse_claims(widths[-1], widest, ratios, np.asarray(pairing)),
    ]
    return Part(claims, [_figure(widths, errors, ratios)])


def train(width: int, keys: Array, data: Pairs) -> Networks:
    """Train networks of one width and compare them with descent on their frozen kernels."""
    sample = grassmann.stack_views(data)
    pairing = grassmann.pairing_matrix(COUNT)
    net = mlp(FEATURES, DIM, width=width, depth=1, activation="tanh", dtype=jnp.float64)

    def start_kernel(key: Array) -> tuple[Array, Array]:
        kernel = empirical_ntk(net.apply, net.init(start_key(key)), sample)
        # s2 / s1 falls by e^5 up to the last step
        rate = 5 / grassmann.collapse_rate(grassmann.kernel_objective(kernel, pairing)) / LAST
        return kernel, rate

    def descend(key: Array, kernel: Array, rate: Array) -> Any:
        outputs = _network_outputs(centred(net, START), data, key, rate)

        def frozen(outputs: Array, _: None) -> tuple[Array, Array]:
            return outputs - 2 * rate * outputs @ pairing @ kernel, outputs

        return outputs, jax.lax.scan(frozen, outputs[0], None, length=STEPS[-1] + 1)[1][STEPS]

    kernel, rate = jax.jit(jax.vmap(start_kernel))(keys)
    outputs, ideal = map(
        np.asarray, compile_for_many_steps(jax.vmap(descend), products=True)(keys, kernel, rate)
    )
    kernel, rate = np.asarray(kernel), np.asarray(rate)
    # at most EARLY steps: s2 / s1 falls more slowly than the first mode grows, as the second grows
    grown = np.rint(1 / _growth(kernel, rate, np.asarray(pairing))).clip(1, EARLY).astype(int)
    seeds = np.arange(len(grown))
    error = _relative(outputs[seeds, grown], ideal[seeds, grown])
    return Networks(outputs, kernel, rate, error)


def _growth(kernel: np.ndarray, rate: np.ndarray, pairing: np.ndarray) -> np.ndarray:
    """Return the growth of the fastest mode in a step, (seeds,)."""
    return 2 * rate * np.abs(np.linalg.eigvals(pairing @ kernel).real.min(1))


def _network_outputs(model: Model, data: Pairs, key: Array, rate: Array) -> Array:
    """Return the outputs (points, DIM, 2n) of one network at the recorded steps."""
    sample = grassmann.stack_views(data)
    problem = Problem(
        pairs.fixed(data), model, losses.get("linear_non_contrastive"), gradient_descent(rate)
    )

    def observe(params: Params, _: Pairs) -> dict[str, Array]:
        return {"outputs": model.apply(params, sample).T}

    return run(problem, STEPS, observe)(key).observables["outputs"]


def _exponent_claim(widths: tuple[int, ...], errors: np.ndarray) -> Claim:
    exponent, error = fit_exponent(np.array(widths), errors)
    return close(
        "grassmann/naive-network-exponent",
        "For tanh networks without a constraint, the error of the frozen-kernel prediction "
        "decreases as width^(-1/2).",
        SOURCE,
        -0.5,
        exponent,
        0.1 + 3.9 * error,
        details="The error is the relative difference of the outputs when the fastest mode of the "
        "frozen kernel has grown by a factor e. The measured value is the exponent fitted to "
        f"widths {widths[0]} to {widths[-1]} with {errors.shape[1]} seeds. The tolerance is 0.1 "
        "for the finite range of widths plus 3.9 standard errors.",
        rivals=powers(0, -1),
        standard_error=error,
    )


def _growth_claim(width: int, widest: Networks, flow: np.ndarray, pairing: np.ndarray) -> Claim:
    growth, steps = _growth(widest.kernel, widest.rate, pairing), STEPS[EARLY]
    begin, end = flow[:, 0], flow[:, EARLY]

    def size(outputs: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(np.linalg.norm(outputs, axis=(1, 2))))

    predicted = float(steps * (np.log1p(growth) - growth).mean())
    return close(
        "grassmann/naive-network-growth",
        "Without a constraint, the outputs of wide tanh networks grow as the flow of their frozen "
        "tangent kernel.",
        SOURCE,
        predicted,
        float((size(widest.outputs[:, EARLY]) - size(end)).mean()),
        float(steps * growth.mean() / math.sqrt(width)),
        details=f"The measured value is the logarithm of the norm of the outputs at step {steps}, "
        f"relative to the flow; the mean over networks of width {width}. The predicted value is "
        "the effect of finite steps on the fastest mode. The tolerance is what the frozen kernel "
        "neglects, a share 1 / sqrt(width) of the growth.",
        rivals=[
            Rival(
                "half of the change",
                predicted + float((size((begin + end) / 2) - size(end)).mean()),
            ),
            Rival("no growth", predicted + float((size(begin) - size(end)).mean())),
        ],
    )


def _collapse_claims(
    width: int, widest: Networks, ratios: Ratios, pairing: np.ndarray
) -> list[Claim]:
    lowest = np.sort(np.linalg.eigvals(pairing @ widest.kernel).real, axis=1)[:, :2]
    mixing = np.abs(lowest).sum(1) / (lowest[:, 1] - lowest[:, 0]) / math.sqrt(width)
    at_start = [np.abs(np.corrcoef(outputs)).min() for outputs in widest.outputs[:, 0]]
    kept = np.abs(ratios.networks[:, 0] - ratios.frozen[:, -1]).mean()
    correlation = [np.abs(np.corrcoef(outputs)).min() for outputs in widest.outputs[:, -1]]
    return [
        at_most(
            "grassmann/naive-network-collapse",
            "Without a constraint, the outputs of wide tanh networks collapse as their frozen "
            "tangent kernel predicts.",
            SOURCE,
            mixing.mean(),
            np.abs(ratios.networks - ratios.frozen)[:, -1].mean(),
            details=f"Networks of width {width} are trained until the predicted s_2 / s_1 has "
            "fallen by a factor e^5. The measured value is the absolute difference between their "
            "s_2 / s_1 and the prediction, averaged over seeds. The bound is the mixing of the two "
            "lowest modes by what the frozen kernel neglects, "
            "(|l_1| + |l_2|) / (l_2 - l_1) / sqrt(width).",
            rivals=[Rival("no collapse: the ratio of the start is kept", kept)],
        ),
        at_least(
            "grassmann/naive-network-correlation",
            "Without a constraint, all outputs of wide tanh networks become strongly correlated "
            "with one another.",
            SOURCE,
            0.9,
            float(np.median(correlation)),
            details="The measured value is the smallest absolute correlation between two outputs "
            f"at the end of training, the median over networks of width {width}.",
            rivals=[Rival("outputs stay independent, as at the start", float(np.median(at_start)))],
        ),
    ]


def _figure(widths: tuple[int, ...], errors: np.ndarray, ratios: Ratios) -> Figure:
    figure, (left, right) = new_figure(2)
    left.loglog(widths, np.exp(errors), ".", color="C0", alpha=0.4)
    left.loglog(widths, np.exp(errors.mean(1)), "o", color="C0", label="networks")
    line = np.exp(errors.mean()) * (np.array(widths) / np.exp(np.log(widths).mean())) ** -0.5
    left.loglog(widths, line, "k--", label="width$^{-1/2}$")
    left.set(xlabel="width", ylabel="relative error of the frozen kernel")
    left.legend(frameon=False)
    right.semilogy(STEPS, ratios.networks.T, color="C0", alpha=0.5, linewidth=1)
    mean = np.exp(np.log(ratios.frozen).mean(0))
    right.semilogy(STEPS, mean, "k--", label="frozen kernel, geometric mean")
    right.plot([], [], color="C0", label=f"networks of width {widths[-1]}")
    right.set(xlabel="step", ylabel="second / first singular value")
    right.legend(frameon=False)
    text = (
        "Left: relative error of the frozen-kernel prediction against width, with the predicted "
        "exponent -1/2 (dashed). Right: collapse of the outputs of networks of width "
        f"{widths[-1]} (solid) and of the frozen kernel (dashed)."
    )
    return Figure("naive-networks", "Networks collapse as their kernel predicts", text, figure)


def _second_over_first(outputs: np.ndarray) -> np.ndarray:
    singular = np.linalg.svd(outputs, compute_uv=False)
    return singular[..., 1] / singular[..., 0]


def _relative(measured: np.ndarray, ideal: np.ndarray) -> np.ndarray:
    return np.linalg.norm(measured - ideal, axis=(1, 2)) / np.linalg.norm(ideal, axis=(1, 2))
