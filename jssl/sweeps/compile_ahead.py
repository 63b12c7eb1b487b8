"""Programs are compiled while those before them run."""

from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self


class CompileAhead:
    """Compiles programs in a known order, one further than is asked for; a context manager.

    A later call of the jitted function finds what was compiled for the same shapes and shardings.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> double, halve = jax.jit(lambda x: 2 * x), jax.jit(lambda x: x / 2)
        >>> with CompileAhead([double, halve], lambda f: f.lower(jnp.ones(3))) as compiler:
        ...     compiler.ready(double)  # halve is compiled too, from here on
        ...     print(float(double(jnp.ones(3)).sum()))
        6.0
    """

    def __init__(
        self,
        order: Iterable[Hashable],
        lower: Callable[[Any], Any],
        meanwhile: Callable[[], object] | None = None,
    ) -> None:
        """Store the order.

        Args:
            order: names of programs, in the order in which they will be asked for; repetitions
                are dropped.
            lower: `lower(name)` gives what `jax.jit(f).lower(...)` gives.
            meanwhile: called once, while the first program is compiled.
        """
        self.order = list(dict.fromkeys(order))
        self.lower, self.meanwhile = lower, meanwhile
        self.threads = ThreadPoolExecutor(2, "compile")
        self.compiled: dict[Any, Future[Any] | None] = {}

    def ready(self, name: Any) -> None:
        """Return once a program is compiled, or raise what its compilation raised."""
        at = self.order.index(name)
        for near in self.order[at : at + 2]:
            if near not in self.compiled:
                self.compiled[near] = self.threads.submit(self.lower(near).compile)
        if self.meanwhile is not None:
            self.meanwhile()
            self.meanwhile = None
        waited = self.compiled[name]
        if waited is not None:
            waited.result()
            self.compiled[name] = None  # a long sweep does not keep every program it ever ran

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Stop the threads; a compilation that is under way ends by itself."""
        self.threads.shutdown(wait=False, cancel_futures=True)
