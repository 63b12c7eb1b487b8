"""How much does `jssl.Monitor` add to a training step of a ResNet-18 in PyTorch?

    pip install torch && python -m benchmarks.monitor

One step is forward, backward and SGD on 256 images of 32 x 32 pixels, in float32 on the CPU; the
monitored embeddings are the 512 averaged features. The network is the usual ResNet-18 with a stride
of 2 and pooling first, which has the cheapest step: without them a step costs ten times as much.

Contestants run in turns, in both orders, and medians are compared:

    step       the step alone
    update     `monitor.update(z)` alone, on the embeddings of the step before it
    monitored  the step and `monitor.update(z)`
    metrics    `monitor.metrics()`, which a loop calls every 100 steps

The overhead is (update + metrics / 100) over step: the difference of the two steps itself is
smaller than the spread of either. Processor time of one thread is compared, which depends less on
what else the machine does; wall time is given beside it.
"""

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import tyro
from torch import nn

import jssl
from benchmarks import harness

EVERY = 100


class Block(nn.Module):
    """Two 3 x 3 convolutions with batch normalisation and a shortcut (He et al. 2015)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        same = stride == 1 and before == after
        shortcut = [nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)]
        self.shortcut = nn.Identity() if same else nn.Sequential(*shortcut)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output of the block."""
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet18() -> nn.Module:
    """Return a ResNet-18 without its classifier: (n, 3, side, side) -> (n, 512)."""
    first = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    first.append(nn.MaxPool2d(3, 2, 1))
    widths = (64, 64, 128, 256, 512)
    for before, after in itertools.pairwise(widths):
        first += [Block(before, after, 1 if after == 64 else 2), Block(after, after, 1)]
    return nn.Sequential(*first, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def make_step(batch: int) -> Callable[[], torch.Tensor]:
    """Return a training step, which returns its embeddings."""
    torch.manual_seed(0)
    encoder, head = resnet18(), nn.Linear(512, 10)
    parameters = [*encoder.parameters(), *head.parameters()]
    optimiser = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9)
    x, y = torch.randn(batch, 3, 32, 32), torch.randint(10, (batch,))

    def step() -> torch.Tensor:
        optimiser.zero_grad(set_to_none=True)
        z = encoder(x)
        nn.functional.cross_entropy(head(z), y).backward()
        optimiser.step()
        return z

    return step


def contest(batch: int, repeats: int) -> dict[str, tuple[harness.Timing, harness.Timing]]:
    """Time the contestants in turns: name -> processor time and wall time."""
    step = make_step(batch)
    monitor, held = jssl.Monitor(), step()

    def plain() -> None:
        nonlocal held
        held = step()

    functions: dict[str, Callable[[], Any]] = {
        "step": plain,
        "update": lambda: monitor.update(held),
        "monitored": lambda: monitor.update(step()),
        "metrics": monitor.metrics,
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in functions}
    for turn in range(-1, repeats):
        order = list(functions.items())
        for name, function in order if turn % 2 else reversed(order):
            begin = time.process_time(), time.perf_counter()
            function()
            if turn >= 0:
                taken = time.process_time() - begin[0], time.perf_counter() - begin[1]
                seconds[name].append(taken)
    return {
        name: (harness.timing([cpu for cpu, _ in each]), harness.timing([wall for _, wall in each]))
        for name, each in seconds.items()
    }


def main(batch: int = 256, repeats: int = 5) -> None:
    """Run the benchmark and write results/monitor.json.

    Args:
        batch: images in a step.
        repeats: timed turns.
    """
    torch.set_num_threads(1)
    found = contest(batch, repeats)
    rows: list[dict[str, Any]] = [
        {
            "contestant": name,
            "processor seconds": cpu.median,
            "spread": cpu.spread,
            "wall seconds": wall.median,
            "runs": cpu.repeats,
        }
        for name, (cpu, wall) in found.items()
    ]
    step, update, metrics = (found[name][0].median for name in ("step", "update", "metrics"))
    facts = {
        "update over step, per cent": 100 * update / step,
        f"update and metrics every {EVERY} steps over step, per cent": 100
        * (update + metrics / EVERY)
        / step,
        "monitored step over step": found["monitored"][0].median / step,
    }
    harness.report("monitor", rows, facts, dtype=np.float32)


if __name__ == "__main__":
    tyro.cli(main)
