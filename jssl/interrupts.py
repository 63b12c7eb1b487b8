"""Ctrl-C and requests to terminate: one line and an exit status at every moment of a command.

A command is in one of three states. As a rule there is nothing to undo: the line is printed and the
process ends there and then, even in the middle of an import. Inside `unwinding` the signal becomes
KeyboardInterrupt, so that progress bars, processes and temporary folders are cleaned up. Inside
`deferred` the signal waits, so that files that belong together are moved together.
"""

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

NOTHING = "nothing was written"
_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class _State:
    """What a signal finds.

    Attributes:
        outcome: the part of the message about the files of the command.
        unwind: whether a signal raises KeyboardInterrupt.
        raised: the signal that raised it, 0 if none did.
    """

    outcome = NOTHING
    unwind = False
    raised = 0


_state = _State()


def install() -> None:
    """Handle SIGINT and SIGTERM until the process ends; ignored signals stay ignored."""
    begin()
    sys.unraisablehook = _raise_again
    for number in _WORDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _hear)


def finish() -> None:
    """Ignore both signals from here on: the command is done, only the interpreter has to end."""
    for number in _WORDS:
        if signal.getsignal(number) is _hear:
            signal.signal(number, signal.SIG_IGN)


def begin() -> None:
    """Start a command, of which nothing was written so far."""
    _state.outcome, _state.unwind, _state.raised = NOTHING, False, 0


def outcome(text: str) -> None:
    """Set the part of the message that states what happened to the files of the command.

    Args:
        text: such as "nothing was written".
    """
    _state.outcome = text


def message() -> str:
    """Return the line that an interrupted command ends with.

    Example:
        >>> begin()
        >>> message()
        'jssl: interrupted; nothing was written'
    """
    word = _WORDS[signal.Signals(_state.raised or signal.SIGINT)]
    return f"jssl: {word}; {_state.outcome}"


def status() -> int:
    """Return the exit status of an interrupted command, as shells have it.

    Example:
        >>> begin()
        >>> status()
        130
    """
    return 128 + (_state.raised or signal.SIGINT)


@contextlib.contextmanager
def unwinding() -> Iterator[None]:
    """Let a signal raise KeyboardInterrupt inside: there is something to clean up."""
    before, _state.unwind = _state.unwind, True
    try:
        yield
    finally:
        _state.unwind = before


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Let signals wait until the end of the context; they then act as they would have.

    It does so under every handler, so in programs that import jssl as well. In a thread other than
    the main one, where Python runs no handlers, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []

    def wait(number: int, _frame: FrameType | None) -> None:
        heard.append(number)

    usual = {number: signal.getsignal(number) for number in _WORDS}
    usual = {n: h for n, h in usual.items() if h not in (None, signal.SIG_IGN)}
    try:
        for number in usual:
            signal.signal(number, wait)
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
        if heard:
            signal.raise_signal(heard[0])


def _hear(number: int, _frame: FrameType | None) -> None:
    first = not _state.raised
    _state.raised = _state.raised or number
    if _state.unwind and first:
        raise KeyboardInterrupt
    # The second signal while the first one unwinds, or nothing to unwind.
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        os.write(2, f"{message()}\n".encode())
    os._exit(status())


def _raise_again(ignored: "sys.UnraisableHookArgs") -> None:
    """Interrupt again, shortly, where a callback of the garbage collector swallowed Ctrl-C."""
    if not issubclass(ignored.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(ignored)
        return
    number, _state.raised = _state.raised or signal.SIGINT, 0
    again = threading.Timer(0.05, _thread.interrupt_main, (number,))
    again.daemon = True
    again.start()
