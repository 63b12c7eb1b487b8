"""A callback that monitors the embeddings of a Lightning module.

    from jssl.monitor.lightning import MonitorCallback

    monitor = jssl.Monitor(raise_on="collapse")
    Trainer(callbacks=[MonitorCallback(monitor, layer="projector")])

`lightning` (or `pytorch_lightning`) is imported when the class is first used.
"""

# ruff: noqa: ARG002 (Lightning decides which arguments the methods have)
import contextlib
import functools
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jssl.data.checks import require_count
from jssl.errors import InputError
from jssl.monitor.monitor import Monitor

if TYPE_CHECKING:
    MonitorCallback: Any


def __getattr__(name: str) -> Any:
    if name == "MonitorCallback":
        return _callback_class()
    message = f"module '{__name__}' has no attribute '{name}'"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return ["MonitorCallback"]


@functools.cache
def _callback_class() -> Any:
    """Return the class, which inherits from the callback of the installed Lightning."""
    base: Any = _lightning().Callback

    class MonitorCallback(base):
        """Feed a monitor from a Lightning module, and log its metrics.

        The embeddings are the output of a submodule (`layer`), or a value that `training_step`
        returns (`key`). Metrics are logged every `every` batches with the module's loggers, and
        `CollapseError` of the monitor ends `fit`.

        Args:
            monitor: what the embeddings are given to.
            layer: name of a submodule, as in `named_modules`, whose outputs (n, dim) in training
                mode are the embeddings; of a tuple, a list or a dictionary, the first tensor.
                Where it is called twice in a step with the same number of rows, the second output
                is taken as the second views of the same rows.
            key: of the embeddings in the dictionary that `training_step` returns, instead of a
                layer.
            views: key of the second views in that dictionary, for the alignment.
            every: batches between two logs of the metrics.
        """

        def __init__(
            self,
            monitor: Monitor,
            *,
            layer: str | None = None,
            key: str | None = None,
            views: str | None = None,
            every: int = 100,
        ) -> None:
            super().__init__()
            if (layer is None) == (key is None):
                message = "pass either layer=, the name of a submodule, or key=, a key of what "
                raise InputError(message + "training_step returns")
            if views is not None and key is None:
                message = "views= needs key=; with layer= the second call in a step is the view"
                raise InputError(message)
            self.monitor, self.layer, self.key, self.views = monitor, layer, key, views
            self.every = require_count("every", every)
            self._batches = 0
            self._outputs: list[Any] = []
            self._hook: Any = None

        def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
            """Watch the layer."""
            if self.layer is None:
                return
            named = dict(pl_module.named_modules())
            if self.layer not in named:
                known = ", ".join(name for name in named if name)
                message = f"the module has no layer '{self.layer}'; it has: {known}"
                raise InputError(message)
            self._hook = named[self.layer].register_forward_hook(self._keep)

        def on_train_batch_start(
            self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
        ) -> None:
            """Forget what the layer returned outside a training step."""
            self._outputs.clear()

        def on_train_batch_end(
            self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            """Give the embeddings to the monitor, and log."""
            rows = self._feed(outputs)
            self._batches += 1
            if self._batches % self.every == 0:
                pl_module.log_dict(self.monitor.metrics(), batch_size=rows, rank_zero_only=True)

        def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
            """Stop watching."""
            self._release()

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            """Stop watching."""
            self._release()

        def _keep(self, module: Any, inputs: Any, output: Any) -> None:
            if not module.training:
                return
            found = _first_tensor(output)
            if found is None:
                message = (
                    f"layer '{self.layer}' returned no tensor but a {type(output).__name__}; name "
                    "another one, or pass key="
                )
                raise InputError(message)
            self._outputs.append(found.detach())

        def _feed(self, outputs: Any) -> int:
            if self.layer is not None:
                given, self._outputs = self._outputs, []
                if not given:
                    message = f"layer '{self.layer}' was not called in this training step; name "
                    raise InputError(message + "another one, or pass key=")
                return _feed_calls(self.monitor, given)
            z = _value(outputs, self.key)
            second = None if self.views is None else _value(outputs, self.views)
            self.monitor.update(z, second)
            return len(z)

        def _release(self) -> None:
            self._outputs.clear()
            if self._hook is not None:
                self._hook.remove()
                self._hook = None

    # So that a callback can be pickled for the processes of a strategy.
    MonitorCallback.__qualname__ = "MonitorCallback"
    return MonitorCallback


def _first_tensor(output: Any) -> Any:
    """Return a tensor, or the first one in tuples, lists and dictionaries; None without one.

    The outputs of models of Transformers are dictionaries.
    """
    if hasattr(output, "detach"):
        return output
    if isinstance(output, Mapping):
        output = tuple(output.values())
    parts = output if isinstance(output, list | tuple) else ()
    return next((found for part in parts if (found := _first_tensor(part)) is not None), None)


def _feed_calls(monitor: Monitor, outputs: list[Any]) -> int:
    """Give the outputs of one step to the monitor; two of the same shape are two views."""
    if len(outputs) == 2 and outputs[0].shape == outputs[1].shape:
        monitor.update(*outputs)
        return len(outputs[0])
    for output in outputs:
        monitor.update(output)
    return sum(map(len, outputs))


def _value(outputs: Any, key: str | None) -> Any:
    if isinstance(outputs, Mapping) and key in outputs:
        return outputs[key]
    what = f"keys {', '.join(map(str, outputs))}" if isinstance(outputs, Mapping) else "no keys"
    message = f"training_step returned {what}; return a dictionary with 'loss' and '{key}'"
    raise InputError(message)


def _lightning() -> Any:
    """Return the Lightning package that the program uses: imported already, or installed."""
    names = ("lightning.pytorch", "pytorch_lightning")
    for name in names:
        if sys.modules.get(name) is not None:
            return sys.modules[name]
    for name in names:
        with contextlib.suppress(ModuleNotFoundError):
            return __import__(name, fromlist=["Callback"])
    message = "MonitorCallback needs Lightning; install it with pip install lightning"
    raise InputError(message)
