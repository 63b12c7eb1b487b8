"""What the trace of a program says without compiling it: its digest and its work."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=("digests", "work"),
    members={"digest": "digests", "digest_slice": "digests", "Work": "work", "work_of": "work"},
)
