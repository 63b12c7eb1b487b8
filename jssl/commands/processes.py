"""The index of this process among those that run one study.

Processes exchange their indices once, through JAX's coordinator; after that they share only the
store. JAX ends a process with a C++ stack trace where another one does not start in time, and no
Python code can catch that. A child process, `python -m jssl.commands.processes`, therefore connects
to the coordinator and prints the index. Where it dies, the command ends with one line.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax

from jssl import interrupts

if TYPE_CHECKING:
    from jssl.sweeps import StoreError

VISIBLE = ("jax_cuda_visible_devices", "jax_rocm_visible_devices")
"""Settings by which JAX gives processes on one machine an accelerator each, as under Slurm."""
STARTING = 60.0
"""Seconds the child may take to start, in addition to the timeout."""
_ENDING = 60


def process_index(
    coordinator: str, processes: int | None, process: int | None, timeout: int
) -> tuple[int, int]:
    """Return (index, count) of this process once all processes have started.

    Example:
        >>> process_index("localhost:1234", 1, 0, timeout=10)  # there is no other process
        (0, 1)

    Args:
        coordinator: "host:port" of process 0, or "auto" where JAX finds it (TPU pods, Slurm).
        processes: how many there are; None with "auto".
        process: which one this is, from 0; None with "auto".
        timeout: seconds within which all must have started, 1 or more.

    Raises:
        StoreError: where they have not.
    """
    if processes == 1:
        return 0, 1
    place = [] if coordinator == "auto" else [coordinator, str(processes), str(process)]
    command = [sys.executable, "-m", "jssl.commands.processes", str(timeout), *place]
    # The child needs no accelerator; the command takes its own afterwards.
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    limit = timeout + STARTING
    try:
        with interrupts.unwinding():  # the child is ended with this process
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=limit,
                check=False,
            )
        output, errors = done.stdout, done.stderr
    except subprocess.TimeoutExpired as error:
        output, errors = _text(error.stdout), _text(error.stderr)
    for line in output.splitlines():
        if line.startswith("{"):
            found = json.loads(line)
            for name, value in found["visible"].items():
                if value != jax.config.values.get(name):
                    jax.config.update(name, value)
            return found["index"], found["count"]
    raise _failure(coordinator, processes, timeout, errors)


def _failure(coordinator: str, processes: int | None, timeout: int, errors: str) -> "StoreError":
    from jssl.sweeps import StoreError  # imports zarr, which the child does not need

    if "Failed to add port to server" in errors:
        return StoreError(f"the port of {coordinator} is in use; give another one to all processes")
    if coordinator == "auto" and "coordinator_address should be defined" in errors:
        return StoreError(
            "JAX finds neither a TPU pod nor Slurm here; give --coordinator host:port with "
            "--num-processes and --process-id"
        )
    which = "the processes" if processes is None else f"the {processes} processes"
    return StoreError(
        f"not all of {which} connected to {coordinator} within {timeout} s; start each with the "
        "same --coordinator and --num-processes, or give a longer --coordinator-timeout"
    )


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def main(arguments: Sequence[str]) -> None:
    """Connect to the coordinator and print the index of this process as one line of JSON.

    Args:
        arguments: the timeout, then the coordinator's address, the number of processes and the
            index of this one, or nothing where JAX finds them.
    """
    timeout, *place = arguments
    # JAX waits in C++ for longer than its timeout, and Python handlers do not run there.
    for number in (signal.SIGINT, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.alarm(int(timeout))
    options: dict[str, Any] = {
        "initialization_timeout": int(timeout) + _ENDING,
        "shutdown_timeout_seconds": _ENDING,
    }
    if place:
        address, count, index = place
        jax.distributed.initialize(address, int(count), int(index), **options)
    else:
        jax.distributed.initialize(**options)
    found = {
        "index": jax.process_index(),
        "count": jax.process_count(),
        "visible": {name: v for name, v in jax.config.values.items() if name in VISIBLE},
    }
    print(json.dumps(found), flush=True)
    signal.alarm(_ENDING)
    jax.distributed.shutdown()


if __name__ == "__main__":
    main(sys.argv[1:])
