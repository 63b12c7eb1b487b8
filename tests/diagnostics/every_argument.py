"""Arguments for every public function of `jssl.diagnostics`, made by their names.

A new function is covered as soon as it is in `__all__`; its required arguments use known names, or
are added here.
"""

import inspect

import numpy as np

from jssl import diagnostics

PUBLIC = {name: getattr(diagnostics, name) for name in diagnostics.__all__}
FUNCTIONS = sorted(
    name for name, value in PUBLIC.items() if callable(value) and not inspect.isclass(value)
)
N, DIM = 64, 6


def whole_numbers(rows=N):
    """Return two arrays of related whole numbers up to 127, exact in every dtype."""
    own, noise = np.random.default_rng(0).normal(size=(2, N, DIM))
    x, y = (np.clip(np.round(40 * z), -127, 127) for z in (own, own + 0.3 * noise))
    return x[:rows], y[:rows]


def symmetric(x, diagonal):
    """Return a positive definite matrix of whole numbers up to 127."""
    corner = np.resize(x, (DIM, DIM)) % 5
    return np.triu(corner, 1) + np.triu(corner, 1).T + diagonal * np.eye(DIM)


def data(x, y):
    """Return what can be scaled, cast or spoilt, by the name of the argument."""
    growing = np.maximum(np.sort(np.abs(x), axis=0), 1)
    moving = [
        np.stack([np.resize(np.roll(z, k, 0), (4, 2)) for k in range(len(z))]) for z in (x, y)
    ]
    views = 4 if len(x) % 4 == 0 else 1
    firsts = dict.fromkeys(("a", "first", "train", "z", "za"), x)
    seconds = dict.fromkeys(("b", "second", "test", "zb"), y)
    return {
        **firsts,
        **seconds,
        "between": symmetric(x, 60),
        "clouds": x.reshape(-1, views, DIM),
        "eigenvalues": np.sort(np.abs(x[0]))[::-1],
        "embeddings": moving[0],
        "limit": moving[1],
        "matrix": symmetric(x, 100),
        "values": growing,
        "within": symmetric(y, 100),
    }


SECOND = {"b", "limit", "second", "test", "within", "zb"}
"""Arguments made from the second array."""


def arguments(name, x, y, change):
    """Return the required arguments of a function, those that are data changed by `change`."""
    made = {key: change(value) for key, value in data(x, y).items()}
    made |= {
        "mean_a": np.asarray(made["a"], np.float64).mean(0),
        "mean_b": np.asarray(made["b"], np.float64).mean(0),
        "mean_square": 2 * float(np.abs(np.asarray(made["eigenvalues"], np.float64)).sum()),
        "pairs": 2,
        "points": len(x) + 1,
        "t": np.arange(len(x)),
        "test_labels": np.arange(len(y)) % 3,
        "train_labels": np.arange(len(x)) % 3,
        "widths": np.arange(1, len(x) + 1),
    }
    signature = inspect.signature(PUBLIC[name]).parameters.values()
    wanted = [p.name for p in signature if p.default is inspect.Parameter.empty]
    missing = set(wanted) - set(made)
    assert not missing, f"{name} has arguments that this file cannot make: {missing}; add them"
    return {key: made[key] for key in wanted}
