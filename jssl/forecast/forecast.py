r"""`jssl.predict`: the dimensions that an encoder will learn, their order, and their times.

The forecast combines the modes of the contrastive kernel A K c = eigenvalue c of the user's pairs
(S-15, S-16, by Lanczos), whose eigenvalues are also computed on held-out pairs; a small random
start of the encoder, whose mode j has s_j(0)^2 = scale^2 v_j chi^2 with dim - j + 1 degrees of
freedom; and the time at which each mode is half-learned,

    t_j = log(s_j(end)^2 / s_j(0)^2) / (4 (signal eigenvalue_j - decay)),  steps = t / learning rate

corrected for the finite learning rate (`jssl.forecast.steps`). That is the limit of infinite width
(`jssl.forecast.limit`). In networks of finite width, the outputs affect each other, and the times
are those of the flow in mode space (F-5, `jssl.forecast.finite`). Where the placement of the
augmentation is given, A is that of B = A0 - f C. Simon et al. 2023, arXiv 2303.15438. The
directions that an augmentation removes follow from Ziyin et al. 2023, arXiv 2210.00638.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jssl.data.checks import require_count, require_range
from jssl.data.views import View
from jssl.errors import InputError, shown
from jssl.forecast.answer import answer
from jssl.forecast.custom_loss import Loss
from jssl.forecast.finite import Progress, check_size
from jssl.forecast.fresh_views import FreshViews, drawn_views
from jssl.forecast.given_encoder import given_encoder
from jssl.forecast.given_gram import given_gram
from jssl.forecast.given_pairs import MOST as MOST
from jssl.forecast.given_pairs import channels_last, clean_views, two_views
from jssl.forecast.limit import Question, mode_count
from jssl.forecast.linear_found import LinearQuestion, linear_loss
from jssl.forecast.result import Forecast as Forecast
from jssl.forecast.rules import Rule, rule_of
from jssl.theory.landscape.dictionary import SIMCLR
from jssl.types import Array, Params

TEMPERATURE = 0.5
"""Temperature by default."""


def predict(
    pairs: Any,
    *,
    loss: str | Loss,
    dim: int,
    kernel: str | None = None,
    width: int | None = None,
    nets: int | None = None,
    apply: Callable[[Params, Array], Array] | None = None,
    params: Params = None,
    torch: Any = None,
    gram: Any = None,
    start: Any = None,
    step: int = 0,
    fresh: str | View | None = None,
    simulate: int = 0,
    learning_rate: float | None = None,
    scale: float | None = None,
    temperature: float | None = None,
    trade_off: float | None = None,
    batch: int | None = None,
    weight_decay: float = 0.0,
    placement: str = SIMCLR,
    clean_first: bool | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Forecast:
    """Predict which dimensions an encoder will learn from pairs, in which order, and when.

    Example:
        >>> import jax
        >>> from jssl.data.toy import pairs_with_cross_moment
        >>> data = pairs_with_cross_moment([1.0, 0.5, 0.1], 200, key=jax.random.key(0))
        >>> forecast = predict(data, loss="barlow_twins_linearized", dim=2, kernel="linear")
        >>> forecast.eigenvalues[:3].round(3).tolist()
        [1.0, 0.5, 0.1]
        >>> bool(forecast.steps[0] < forecast.steps[1])
        True

    Without `width`, `apply` or `torch`, the forecast is for the limit of infinite width. With one
    of them, it is for networks of finite width, whose outputs affect each other (F-5): `steps` are
    then those of these networks, and `limit_steps` those of the limit.

    Args:
        pairs: Pairs, or two arrays (n, ...) of first and second views, of NumPy, JAX or PyTorch.
        loss: a name in `jssl.forecast.rules.RULES`, or an alias such as simclr, in any case; `jepa`
            or `lejepa` for linear encoders (`jssl.forecast.linear_theory`); or a function
            `loss(za, zb) -> scalar` of two embeddings (n, dim), smooth at zero.
        dim: embedding dimension.
        kernel: `linear`, `mlp-<activation>-<layers>` or `conv-<activation>-<layers>`: the encoder
            in NTK parametrisation, where no other is given. None is `mlp-relu-3`, and `linear` for
            `jepa` and `lejepa`; `jepa` takes `linear-<layers>` with 1 to 64 layers as well.
        width: hidden neurons or channels of `kernel`; None for the limit of infinite width.
        nets: number of random networks of that width, whose median and spread are the forecast;
            8 if None.
        apply: `apply(params, x) -> z` (n, dim) of the user's encoder; its empirical tangent kernel
            and its initial embedding are then used instead of `kernel`.
        params: parameters of `apply` at the start of training, or at step `step`: any pytree, such
            as a module of Equinox. Leaves that are not floating-point arrays are held fixed.
        torch: a PyTorch module (n, ...) -> (n, dim) in the place of `apply` and `params`.
        gram: Gram matrix of an encoder, computed elsewhere, in the place of the encoder. Its rows
            are all first views and then all second views. Either (2n, 2n), the tangent kernel of
            one output (the mean over outputs, not their sum), where outputs do not affect each
            other; or (2n, 2n, dim, dim) with all blocks, entry [i, j, k, l] for outputs k and l.
        start: (2n, dim) embeddings of the same rows at the start, for `gram`; None for the random
            start of an encoder that is linear in standard normal parameters.
        step: number of steps after which `params` were saved. The forecast is then for the
            remaining training, and its steps are counted from the start.
        fresh: for views that are drawn anew in every step: their names, such as "crop,noise=0.1",
            or a function `view(key, x) -> x` of one sample. `pairs` are then samples (n, ...), and
            the modes are those of the distribution of their views.
        simulate: number of these networks that are also trained, on the same pairs.
        learning_rate: of gradient descent on the loss; None for a tenth of the largest stable one,
            and less for a network of the user whose curvature rises during training.
        scale: multiplies the encoder's initial embedding, > 0; None for an initial amplitude
            of a thousandth of the final one, small enough for separate steps, and for 1 at a
            checkpoint. The function that is trained is then f(params, x) - (1 - scale) f(start, x),
            as `jssl.models.centred` makes it; at a checkpoint, `apply` is that function. For
            `jepa`, the size w_0 of each layer and of the predictor; None for a tenth of the final
            one.
        temperature: for losses that use one, such as simclr; None for 0.5.
        trade_off: of `lejepa`, the weight of SIGReg; None for 0.05.
        batch: number of samples of a batch of `lejepa`; None for all pairs.
        weight_decay: >= 0, factor of the squared norm of the parameters; only for encoders that
            are linear in them.
        placement: of the augmentation, for simclr, one of `jssl.theory.landscape.PLACEMENTS`. By
            default training uses the pairs unchanged.
        clean_first: whether the pairs are (clean, augmented); None to estimate it, if a placement
            is given.
        seed: of the split of the pairs into halves, and of the random networks.
        progress: called with a description and the share that is done.

    Returns:
        Forecast.

    Raises:
        InputError: for pairs, names or numbers that cannot be used, an encoder that couples the
            rows of a batch, a Gram matrix that does not fit the pairs, weight decay on an encoder
            that is not linear in its parameters, more modes and outputs than a forecast follows,
            and a simulation that would take longer than `jssl.forecast.simulated.LIMIT` seconds.
    """
    dim = require_count("dim", dim)
    require_count("seed", seed, low=0, high=2**32 - 1)
    _check_numbers(learning_rate, scale, temperature, weight_decay)
    if trade_off is not None or batch is not None or linear_loss(loss):
        refused = {"width": width, "apply": apply, "params": params, "torch": torch, "nets": nets}
        refused |= {"step": step, "simulate": simulate, "weight_decay": weight_decay}
        refused |= {"placement": placement != SIMCLR, "clean_first": clean_first}
        refused |= {"temperature": temperature}
        refused |= {"gram": gram is not None, "start": start is not None, "fresh": bool(fresh)}
        asked = LinearQuestion(
            linear_loss(loss), kernel, dim, trade_off, batch, learning_rate, scale, seed, progress
        )
        return _of_linear_encoder(pairs, asked, refused)
    encoder = given_encoder(
        kernel, width, nets, apply, params, torch, given_gram(gram, start), step, simulate,
        weight_decay,
    )  # fmt: skip
    notes: list[str] = []
    drawn: FreshViews | None = None
    if fresh is not None:
        if encoder.gram is not None:
            message = (
                "fresh draws views of its own, which a given Gram matrix does not have as rows: "
                "leave fresh out, or pass apply= or torch= in the place of gram="
            )
            raise InputError(message)
        views, drawn = drawn_views(pairs, fresh, seed)
    else:
        views = channels_last(*two_views(pairs), encoder.kernel, not encoder.own, notes)
    parts, clean = _parts_of(loss, temperature, placement, views, clean_first)
    if drawn is not None and (clean or placement != SIMCLR):
        message = "fresh views augment both views; drop placement and clean_first"
        raise InputError(message)
    draws = 1 if drawn is None else drawn.draws
    question = Question(
        *parts, placement, clean, dim, weight_decay, learning_rate, scale, seed, draws
    )
    if encoder.finite:
        check_size(mode_count(dim, len(views[0]) // draws), dim)
    return answer(question, encoder, views, drawn, notes, temperature or TEMPERATURE, progress)


def _of_linear_encoder(pairs: Any, asked: LinearQuestion, refused: Mapping[str, Any]) -> Forecast:
    """Return the forecast of a loss whose theory is that of linear encoders."""
    if not asked.name:
        message = "trade_off and batch belong to the loss lejepa; leave them out"
        raise InputError(message)
    from jssl.forecast.linear_theory import linear_forecast  # scipy.integrate, for it alone

    if refused["fresh"]:
        message = f"forecasts of {asked.name} are for fixed pairs; leave fresh out"
        raise InputError(message)
    return Forecast(*linear_forecast(two_views(pairs), asked, refused))


def _parts_of(
    loss: str | Loss,
    temperature: float | None,
    placement: str,
    views: tuple[np.ndarray, np.ndarray],
    clean_first: bool | None,
) -> tuple[tuple[str, Rule | None, Loss | None], bool]:
    """Return the name, the rule and the function of a loss, and whether first views are clean."""
    if isinstance(loss, str):
        name, rule = rule_of(loss, placement)
        clean = clean_views(*views, placement, clean_first)
        if temperature is not None and not rule.tempered:
            raise _no_temperature(name)
        return (name, _tempered(rule, temperature or TEMPERATURE), None), clean
    if callable(loss) and placement == SIMCLR:
        name = getattr(loss, "__name__", "the given loss")
        if temperature is not None:
            raise _no_temperature(name)
        return (name, None, loss), False
    if callable(loss):
        message = "a placement needs the loss simclr, by its name; leave placement or the loss out"
    else:
        message = (
            "loss must be a name such as 'simclr', or a function loss(za, zb) of two embeddings; "
            f"got {shown(loss)}"
        )
    raise InputError(message)


def _no_temperature(name: str) -> InputError:
    return InputError(
        f"temperature has no effect on {name}: leave it out, or take simclr or info_nce"
    )


def _check_numbers(
    learning_rate: float | None,
    scale: float | None,
    temperature: float | None,
    weight_decay: float,
) -> None:
    for what, value in (("learning_rate", learning_rate), ("scale", scale)):
        if value is not None:
            require_range(what, value, 1e-300, 1e300)
    if temperature is not None:
        require_range("temperature", temperature, 1e-6)
    require_range("weight_decay", weight_decay, 0, float(np.finfo(float).max))


def _tempered(rule: Rule, temperature: float) -> Rule:
    if not rule.tempered:
        return rule
    square = temperature**2
    return rule._replace(
        signal=rule.signal / temperature, quartic=rule.quartic / square, own=rule.own / square
    )
