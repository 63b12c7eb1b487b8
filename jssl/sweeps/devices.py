"""One XLA device per core: to be decided before JAX touches its backend."""

import os

import jax

from jssl.errors import InputError

MOST = 1024
"""The most CPU devices: each takes a thread, and programs are compiled for all of them at once."""


def cores() -> int:
    """Return the number of cores that this process may use.

    Example:
        >>> cores() >= 1
        True
    """
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def use_all_cores(devices: int | None = None) -> int:
    """Let JAX see the CPU as one device per core, so that seeds are computed side by side.

    Call it first thing in a program, before any array is made.

    Args:
        devices: how many devices, 1 to 1024; None for the cores this process may use.

    Returns:
        The number of devices.

    Raises:
        InputError: below one device or above 1024; where JAX has started already, with another
            number of them.
    """
    if devices is None:
        devices = cores()
    if not 1 <= devices <= MOST:
        allowed = "1 or more" if devices < 1 else f"at most {MOST:,}"
        message = f"devices must be {allowed}; got {devices:,}"
        raise InputError(message)
    try:
        jax.config.update("jax_num_cpu_devices", devices)
    except RuntimeError as error:
        if len(jax.local_devices(backend="cpu")) == devices:
            return devices
        message = "JAX has started: call jssl.sweeps.use_all_cores() before any array is made"
        raise InputError(message) from error
    return devices
