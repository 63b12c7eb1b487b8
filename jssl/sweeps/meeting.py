"""Processes of one study meet once, to learn who is who; after that they share only the store.

JAX's runtime ends a process with a C++ stack trace where another one does not come in time, and no
Python code can catch that. So the meeting is held by a child process, `python -m
jssl.sweeps.meeting`, which prints what it learned; where it dies, the command ends in one line.
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
    from jssl.sweeps.store import StoreError

VISIBLE = ("jax_cuda_visible_devices", "jax_rocm_visible_devices")
"""Settings by which JAX gives processes on one machine an accelerator each, as under Slurm."""
STARTING = 60.0
"""Seconds a child may take to start, beyond the time for the meeting itself."""
_ENDING = 60


def meet(
    coordinator: str, processes: int | None, process: int | None, timeout: int
) -> tuple[int, int]:
    """Return (index, count) of this process once all are there.

    Example:
        >>> meet("localhost:1234", 1, 0, timeout=10)  # nobody else has to come
        (0, 1)

    Args:
        coordinator: "host:port" of process 0, or "auto" where JAX finds it (TPU pods, Slurm).
        processes: how many there are; None with "auto".
        process: which one this is, from 0; None with "auto".
        timeout: seconds in which all must come, 1 or more.

    Raises:
        StoreError: where they do not.
    """
    if processes == 1:
        return 0, 1
    place = [] if coordinator == "auto" else [coordinator, str(processes), str(process)]
    command = [sys.executable, "-m", "jssl.sweeps.meeting", str(timeout), *place]
    # The meeting needs no accelerator; the command takes its own afterwards.
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
        said, errors = done.stdout, done.stderr
    except subprocess.TimeoutExpired as error:
        said, errors = _text(error.stdout), _text(error.stderr)
    for line in said.splitlines():
        if line.startswith("{"):
            found = json.loads(line)
            for name, value in found["visible"].items():
                if value != jax.config.values.get(name):
                    jax.config.update(name, value)
            return found["index"], found["count"]
    raise _failure(coordinator, processes, timeout, errors)


def _failure(coordinator: str, processes: int | None, timeout: int, errors: str) -> "StoreError":
    from jssl.sweeps.store import StoreError  # zarr, of which the child has no need

    if "Failed to add port to server" in errors:
        return StoreError(f"the port of {coordinator} is in use; give all processes another")
    if coordinator == "auto" and "coordinator_address should be defined" in errors:
        return StoreError(
            "JAX finds neither a TPU pod nor Slurm here; give --coordinator host:port with "
            "--num-processes and --process-id"
        )
    who = "the processes" if processes is None else f"all {processes} processes"
    return StoreError(
        f"{who} did not meet at {coordinator} within {timeout} s; start each with the same "
        "--coordinator and --num-processes, or give a longer --coordinator-timeout"
    )


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def main(arguments: Sequence[str]) -> None:
    """Meet the others, print what was learned as one line of JSON.

    Args:
        arguments: the timeout, then the coordinator's address, the number of processes and the
            index of this one, or nothing where JAX finds them.
    """
    timeout, *place = arguments
    # JAX waits longer than its own timeout says, in C++, where Python hears no signals.
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
