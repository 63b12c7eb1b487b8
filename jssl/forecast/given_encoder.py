"""The encoder as it was given: a kernel's name and a width, a function, or a module."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jssl.data.checks import require_count
from jssl.errors import InputError, shown
from jssl.forecast.given_gram import GramEncoder
from jssl.forecast.own_encoder import not_linear
from jssl.forecast.torch_encoder import TorchEncoder
from jssl.types import Array, Params

KERNEL = "mlp-relu-3"
"""Kernel by default."""

NETS = 8
"""Random networks of one width that a forecast follows by default."""

MOST_NETS = 1000
"""Random networks of one width that a forecast follows."""


class GivenEncoder(NamedTuple):
    """An encoder as it was given; the arguments are those of `jssl.predict`.

    Attributes:
        kernel: name of an architecture, for encoders that are not the user's.
        width: hidden neurons, or None for the limit.
        nets: number of random networks.
        apply: function of the user, or None.
        params: its parameters.
        torch: module of the user, or None.
        gram: Gram matrix of the user's encoder, or None.
        step: number of steps after which the parameters were saved.
        simulate: number of networks that are trained.
        named: whether a kernel was given by its name.
    """

    kernel: str
    width: int | None = None
    nets: int = NETS
    apply: Callable[[Params, Array], Array] | None = None
    params: Params = None
    torch: TorchEncoder | None = None
    gram: GramEncoder | None = None
    step: int = 0
    simulate: int = 0
    named: bool = False

    @property
    def own(self) -> bool:
        """Whether the encoder is the user's."""
        return any(x is not None for x in (self.apply, self.torch, self.gram))

    @property
    def finite(self) -> bool:
        """Whether its outputs affect each other."""
        if self.gram is not None:
            return self.gram.has_blocks
        return self.own or self.width is not None


def given_encoder(
    kernel: str | None,
    width: int | None,
    nets: int | None,
    apply: Callable[[Params, Array], Array] | None,
    params: Params,
    torch: Any,
    gram: GramEncoder | None,
    step: int,
    simulate: int,
    weight_decay: float,
) -> GivenEncoder:
    """Return the encoder.

    Example:
        >>> given_encoder("mlp-relu-3", 256, 8, None, None, None, None, 0, 0, 0.0).finite
        True

    Raises:
        InputError: where the arguments contradict each other, and for weight decay on an encoder
            that is not linear in its parameters.
    """
    step, simulate = require_count("step", step, low=0), require_count("simulate", simulate, low=0)
    random_start = gram is not None and gram.start is None
    if nets is not None and width is None and not random_start:
        message = "nets is the number of networks of a width: pass width= (--width) too, or no nets"
        raise InputError(message)
    nets = NETS if nets is None else require_count("nets", nets, high=MOST_NETS)
    if nets == 1:
        message = "nets must be at least 2, since the spread of the steps is that between networks"
        raise InputError(message)
    named = kernel is not None
    kernel = KERNEL if kernel is None else kernel
    if not isinstance(kernel, str):
        message = f"kernel must be a name such as mlp-relu-3; got {shown(kernel)}"
        raise InputError(message)
    module = hasattr(apply, "state_dict")  # of PyTorch, for which `read_encoder` has a message
    if apply is not None and not callable(apply) and not module:
        message = f"apply must be a function apply(params, x) -> z; got {shown(apply)}"
        raise InputError(message)
    if torch is None and not module and (apply is None) != (params is None):
        missing = "params" if params is None else "apply"
        message = f"pass apply= and params= together; {missing} is missing"
        raise InputError(message)
    if torch is not None:
        if apply is not None or params is not None:
            message = "pass torch=module alone, without apply and params"
            raise InputError(message)
        torch = TorchEncoder(torch)
    if gram is not None and not (apply is None and params is None and torch is None):
        message = "pass gram= alone, without apply, params and torch"
        raise InputError(message)
    encoder = GivenEncoder(kernel, width, nets, apply, params, torch, gram, step, simulate, named)
    if width is not None and encoder.own:
        message = "width belongs to kernel=; the given encoder has a width of its own"
        raise InputError(message)
    if step and (not encoder.own or random_start):
        message = "step needs the parameters of a checkpoint: pass apply= and params="
        if gram is not None:
            message = "step needs the embeddings at the checkpoint: pass start= beside gram="
        raise InputError(message)
    if simulate and (torch is not None or gram is not None):
        what = "a PyTorch module" if torch is not None else "a Gram matrix"
        message = f"simulate trains networks of jssl, not {what}: drop simulate"
        raise InputError(message)
    if simulate and not encoder.finite:
        message = "simulate trains networks: pass width= (--width), or apply= and params="
        raise InputError(message)
    if simulate > (1 if apply is not None else nets):
        message = (
            "the given parameters are one network: pass simulate=1"
            if apply is not None
            else f"simulate trains networks of the forecast: pass simulate <= nets = {nets}"
        )
        raise InputError(message)
    if weight_decay and not encoder.own and kernel != "linear":
        raise not_linear()
    return encoder
