"""The devices of this process: one CPU device per core, and those that a sweep uses."""

import os
from typing import Any

import jax

from jssl.errors import InputError

MOST = 1024
"""Greatest number of CPU devices: each needs a thread, and programs are compiled for all."""


def cores() -> int:
    """Return the number of cores that this process may use.

    Example:
        >>> cores() >= 1
        True
    """
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def use_all_cores(devices: int | None = None) -> int:
    """Make JAX divide the CPU into one device per core, so that seeds run in parallel.

    Call it before any array is made: the number of devices cannot change after JAX has started.

    Args:
        devices: how many devices, 1 to 1024; None for the cores this process may use.

    Returns:
        The number of devices.

    Raises:
        InputError: for fewer than one device or more than 1024, or where JAX has already started
            with another number of them.
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
        message = "JAX has started: call jssl.use_all_cores() before any array is made"
        raise InputError(message) from error
    return devices


def local_devices() -> list[Any]:
    """Return the devices of this process that a program uses: the CPU's inside `float64()`."""
    chosen = getattr(jax.config, "jax_default_device", None)
    platform = getattr(chosen, "platform", chosen)
    return jax.local_devices(backend=platform)
