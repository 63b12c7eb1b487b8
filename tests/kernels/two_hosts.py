"""Run by a test as two processes: `leading_modes` over both is that of one process.

python two_hosts.py INDEX PORT FOLDER
"""

import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.kernels import leading_modes, tiles
from jssl.models import conv, linear, mlp
from jssl.types import Pairs

PROCESSES, DEVICES = 2, 3
RNG = np.random.default_rng(0)
FIRST = RNG.standard_normal((45, 4, 4, 1)) * 0.7 ** np.arange(4)[:, None]
PAIRS = Pairs(FIRST, FIRST + 0.1 * RNG.standard_normal(FIRST.shape))
FLAT = Pairs(*(x.reshape(45, 16) for x in PAIRS[:2]))
CASES = {
    "dense": (mlp(16, 1, depth=3, activation="relu"), FLAT),
    "linear": (linear(16, 1), FLAT),
    "conv": (conv((4, 4, 1), 1, layers=1), PAIRS),
}
OPTIONS = {"width": 16, "tile": 16}
DIM = 4


def modes(name, **options):
    """Return the modes of a case as NumPy arrays."""
    found = leading_modes(*CASES[name], DIM, **OPTIONS, **options)
    return {key: np.asarray(part) for key, part in found._asdict().items()}


def count_tiles(folder, index):
    """Write the tiles of every product in a file, a line each."""
    for kind in (tiles._HostTiles, tiles._DeviceTiles):
        plain = kind.product

        def product(self, pairs, v, tick, plain=plain):
            with (folder / f"tiles-{index}").open("a") as file:
                print(*sorted(f"{i // 16}.{j // 16}" for i, j in pairs), file=file)
            return plain(self, pairs, v, tick)

        kind.product = product


def refuse(index, folder):
    """Raise unless what process 0 refuses is refused by both, which go on after it."""
    with pytest.raises(InputError, match="no convergence in 3 products"):
        modes("dense", products=3)
    with pytest.raises(InputError, match="create it first"):
        modes("dense", checkpoint=folder / "none" / "state.npz")
    with pytest.raises(InputError, match="process 1 was given other pairs"):
        leading_modes(CASES["dense"][0], FLAT, DIM + index)
    other = mlp(16, 1, depth=3, activation=("relu", "erf")[index])
    with pytest.raises(InputError, match="process 1 was given other pairs"):
        leading_modes(other, FLAT, DIM)


def interrupt(index, folder):
    """Raise unless an interruption of process 0 ends both, and the same call continues."""

    def stop(progress):
        if progress.products == 4:
            raise KeyboardInterrupt

    path = folder / f"state-{index}.npz"
    kind = (KeyboardInterrupt, RuntimeError)[index]
    with pytest.raises(kind, match=(None, "process 0 stopped: KeyboardInterrupt")[index]):
        modes("dense", checkpoint=path, progress=stop)
    assert path.exists() == (index == 0)
    seen = []
    found = modes("dense", checkpoint=path, progress=seen.append)
    assert bool(seen) == (index == 0)
    assert not seen or seen[0].products == 4
    return found


def main(index, port, folder):
    """Run all cases and write what they found."""
    jax.config.update("jax_num_cpu_devices", DEVICES)
    jax.config.update("jax_enable_x64", True)
    jax.distributed.initialize(f"127.0.0.1:{port}", PROCESSES, index)
    assert jax.local_device_count() == DEVICES
    assert jax.device_count() == PROCESSES * DEVICES
    refuse(index, folder)
    found = {"continued": interrupt(index, folder)}
    count_tiles(folder, index)
    found |= {name: modes(name) for name in CASES}
    flat = {f"{name}.{key}": part for name, of in found.items() for key, part in of.items()}
    np.savez(folder / f"found-{index}.npz", **flat)
    jax.distributed.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
