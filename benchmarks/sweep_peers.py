"""The steps of benchmarks.sweep in PyTorch, in every form that people write; and their data."""

from collections.abc import Callable
from typing import Any

import numpy as np

Forms = dict[str, tuple[Callable[[], Any], int]]


def gamma() -> np.ndarray:
    """Return a cross moment with eigenvalues 1 / j, (64, 64) float32."""
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 64)))[0]
    return ((rotation / np.arange(1, 65)) @ rotation.T).astype(np.float32)


def views() -> tuple[np.ndarray, np.ndarray]:
    """Return two views of 128 samples in 64 dimensions, float32."""
    random = np.random.default_rng(1)
    clean, *noise = random.normal(size=(3, 128, 64))
    return tuple((clean + 0.3 * e).astype(np.float32) for e in noise)


def cells() -> np.ndarray:
    """Return 100 samples of the four cells, (100, 10) float32."""
    random = np.random.default_rng(2)
    x = 10**-1.5 * random.normal(size=(100, 10))
    x[:, 0] += random.choice([-1, 1], 100)
    x[:, 1] += 7 * random.integers(0, 2, 100)
    return x.astype(np.float32)


def forms(name: str, seeds: int, steps: int) -> Forms:
    """Return form -> (function of nothing that makes the steps, seeds it runs)."""
    return {"linear": _linear, "mlp": _mlp, "noise": _noise}[name](seeds, steps)


def width_loop(widths: list[int], seeds: int, steps: int) -> None:
    """Train every width and seed one after the other, as a script does."""
    for width in widths:
        for _ in range(seeds):
            _mlp_alone(width, steps)


def _linear(seeds: int, steps: int) -> Forms:
    import torch

    g, eye = torch.tensor(gamma()), torch.eye(10)
    few = 4

    def loss(w: Any) -> Any:
        return ((w @ g @ w.T - eye) ** 2).sum()

    def autograd() -> Any:
        for _ in range(few):
            w = (0.0125 * torch.randn(10, 64)).requires_grad_()
            for _ in range(steps):
                (slope,) = torch.autograd.grad(loss(w), w)
                with torch.no_grad():
                    w -= 1e-3 * slope
        return None

    @torch.no_grad()
    def by_hand() -> Any:
        for _ in range(few):
            w = 0.0125 * torch.randn(10, 64)
            for _ in range(steps):
                moved = w @ g
                w -= 4e-3 * (moved @ w.T - eye) @ moved

    def mapped() -> Any:
        slope = torch.func.vmap(torch.func.grad(loss))
        w = 0.0125 * torch.randn(seeds, 10, 64)
        with torch.no_grad():
            for _ in range(steps):
                w -= 1e-3 * slope(w)

    @torch.no_grad()
    def batched() -> Any:
        w = 0.0125 * torch.randn(seeds, 10, 64)
        for _ in range(steps):
            moved = (w.reshape(-1, 64) @ g).reshape(w.shape)
            w -= 4e-3 * torch.bmm(torch.bmm(moved, w.mT) - eye, moved)

    return {
        "torch loop, autograd": (autograd, few),
        "torch loop, by hand": (by_hand, few),
        "torch.func.vmap": (mapped, seeds),
        "torch batched by hand": (batched, seeds),
    }


def _mlp_start(width: int, *lead: int) -> list[Any]:
    import torch

    sizes = [(width, 64), (width, width), (32, width)]
    return [torch.randn(*lead, *s) / s[1] ** 0.5 for s in sizes]


def _mlp_loss(x: Any, weights: list[Any]) -> Any:
    import torch

    h = torch.tanh(x @ weights[0].mT)
    h = torch.tanh(h @ weights[1].mT)
    z = h @ weights[2].mT
    half = z[..., :128, :].mT @ z[..., 128:, :] / 128
    c = (half + half.mT) / 2
    return ((c - torch.eye(32)) ** 2).sum()


def _mlp_alone(width: int, steps: int) -> None:
    import torch

    x = torch.tensor(np.concatenate(views()))
    weights = [w.requires_grad_() for w in _mlp_start(width)]
    for _ in range(steps):
        slopes = torch.autograd.grad(_mlp_loss(x, weights), weights)
        with torch.no_grad():
            for w, slope in zip(weights, slopes, strict=True):
                w -= 1e-3 * slope


def _mlp(seeds: int, steps: int) -> Forms:
    import torch

    few = 8

    def alone() -> Any:
        for _ in range(few):
            _mlp_alone(256, steps)

    def batched() -> Any:
        x = torch.tensor(np.concatenate(views())).expand(seeds, 256, 64)
        weights = [w.requires_grad_() for w in _mlp_start(256, seeds)]
        for _ in range(steps):
            slopes = torch.autograd.grad(_mlp_loss(x, weights), weights)
            with torch.no_grad():
                for w, slope in zip(weights, slopes, strict=True):
                    w -= 1e-3 * slope

    return {"torch loop": (alone, few), "torch batched": (batched, seeds)}


def _noise(seeds: int, steps: int) -> Forms:
    import torch

    x, rho = torch.tensor(cells()), 10**-1.5

    def loss(w: Any, one: Any, two: Any) -> Any:
        first = torch.sigmoid((x + rho * one) @ w.mT)
        second = torch.sigmoid((x + rho * two) @ w.mT)
        return -(first * second).sum(-1).mean(-1) + (w**2).sum((-1, -2)) / 800

    def mapped() -> Any:
        slope = torch.func.vmap(torch.func.grad(loss))
        w = torch.randn(seeds, 2, 10)
        with torch.no_grad():
            for _ in range(steps):
                one, two = torch.randn(2, seeds, 100, 10)
                w -= 1e-3 * slope(w, one, two)

    @torch.no_grad()
    def batched() -> Any:
        w = torch.randn(seeds, 2, 10)
        for _ in range(steps):
            noisy = x + rho * torch.randn(2, seeds, 100, 10)
            z = torch.sigmoid(noisy @ w.mT)
            slopes = z * (1 - z) * z.flip(0)
            pull = (slopes.mT @ noisy).sum(0) / 100
            w -= 1e-3 * (w / 400 - pull)

    return {"torch.func.vmap": (mapped, seeds), "torch batched by hand": (batched, seeds)}
