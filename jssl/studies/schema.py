"""The keys of a study file: the type and range of each, its meaning, its default.

Each table is a `msgspec.Struct`: the type of a field is the type and range of the key, its
description the meaning. `jssl.value_checks` checks values against these types, and
`jssl.studies.key_tables` lists the keys for the documentation; `msgspec.json.schema(StudyFile)`
gives them as a JSON schema. The tables `[layout]` and `[until]` are in `jssl.sweeps.study`.

`NamedProblem` has the keys of `[problem]` where the problem is given by names
(`jssl.studies.named_problem`); each may be an axis. The keys from `activation` on belong to the
models, losses and optimisers that have them. Every number has to fit into float32.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from jssl.record_steps import MAX_STEP
from jssl.sweeps.study import MOST_RECORDS, Count, Name, Options
from jssl.value_checks import FLOAT32_MAX, FLOAT_MAX

Value = (
    bool
    | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    | Annotated[float, Meta(ge=-FLOAT_MAX, le=FLOAT_MAX)]
    | str
)
"""A value of an axis, or of a list that is a value."""
Step = Annotated[int, Meta(ge=0, le=MAX_STEP)]

MOST_LAYERS = 1000
"""Greatest number of layers, which are traced one by one."""

Number = Annotated[float, Meta(ge=-FLOAT32_MAX, le=FLOAT32_MAX)] | UnsetType
Positive = Annotated[float, Meta(gt=0, le=FLOAT32_MAX)] | UnsetType
NotNegative = Annotated[float, Meta(ge=0, le=FLOAT32_MAX)] | UnsetType
BelowOne = Annotated[float, Meta(ge=0, lt=1)] | UnsetType
Share = Annotated[float, Meta(ge=0, le=1)] | UnsetType
Layers = Annotated[int, Meta(ge=1, le=MOST_LAYERS)]
Size = Count | UnsetType
Flag = bool | UnsetType
Text = Name | UnsetType


class NamedProblem(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """The fixed fields of a problem given by names; a field that varies is an axis instead."""

    data: Annotated[
        Text, Meta(description='"gaussian", or images by name ("digits", "cifar10") or path')
    ] = UNSET
    samples: Annotated[Size, Meta(description="number of samples")] = UNSET
    features: Annotated[Size, Meta(description="features of Gaussian data")] = UNSET
    decay: Annotated[Number, Meta(description="variance j of Gaussian data is j^-decay")] = UNSET
    views: Annotated[Text, Meta(description='image views, such as "shift=1, flip"')] = UNSET
    noise: Annotated[
        NotNegative, Meta(description="standard deviation of noise added to every view")
    ] = UNSET
    batch: Annotated[Size, Meta(description="samples a step; all of them if left out")] = UNSET
    fresh: Annotated[Flag, Meta(description="whether every step draws new views")] = UNSET
    data_seed: Annotated[
        Annotated[int, Meta(ge=0, le=2**32 - 1)] | UnsetType,
        Meta(description="seed of the samples and of a fixed set of views"),
    ] = UNSET
    model: Annotated[Text, Meta(description="a name in `jssl.models.MODELS`")] = UNSET
    dim: Annotated[Size, Meta(description="dimension of the embedding")] = UNSET
    loss: Annotated[Text, Meta(description="a name in `jssl.losses`")] = UNSET
    optimiser: Annotated[Text, Meta(description="a name in `jssl.studies.OPTIMISERS`")] = UNSET
    learning_rate: Annotated[Positive, Meta(description="learning rate")] = UNSET

    activation: Annotated[Text, Meta(description="a name in `jssl.models.ACTIVATIONS`")] = UNSET
    align_exponent: Annotated[Positive, Meta(description="exponent of the alignment")] = UNSET
    b1: Annotated[BelowOne, Meta(description="decay of Adam's first moment")] = UNSET
    b2: Annotated[BelowOne, Meta(description="decay of Adam's second moment")] = UNSET
    batch_norm: Annotated[
        Flag, Meta(description="whether Barlow Twins standardises embeddings over the batch")
    ] = UNSET
    bias: Annotated[Flag, Meta(description="whether a linear model has a bias")] = UNSET
    bias_std: Annotated[NotNegative, Meta(description="scale of biases; 0 for none")] = UNSET
    block: Annotated[Text, Meta(description='block of a ResNet, "basic" or "bottleneck"')] = UNSET
    blocks: Annotated[
        Layers | Annotated[list[Layers], Meta(min_length=1, max_length=16)] | UnsetType,
        Meta(description="residual blocks; of a ResNet, a list with the number in each stage"),
    ] = UNSET
    branch_std: Annotated[Positive, Meta(description="gain of residual branches")] = UNSET
    centre: Annotated[Flag, Meta(description="whether VICReg squared centres embeddings")] = UNSET
    channels: Annotated[Size, Meta(description="channels of the first stage")] = UNSET
    covariance: Annotated[NotNegative, Meta(description="weight of VICReg's covariances")] = UNSET
    depth: Annotated[
        Annotated[int, Meta(ge=0, le=MOST_LAYERS)] | UnsetType,
        Meta(description="number of hidden layers"),
    ] = UNSET
    eps: Annotated[NotNegative, Meta(description="added to Adam's denominator")] = UNSET
    eps_root: Annotated[
        NotNegative, Meta(description="added under the root of Adam's denominator")
    ] = UNSET
    epsilon: Annotated[
        NotNegative, Meta(description="added to the variances that a loss divides by")
    ] = UNSET
    grid: Annotated[Text, Meta(description='knots of SIGReg: "code", "paper" or "exact"')] = UNSET
    groups: Annotated[
        Annotated[int, Meta(ge=1, le=65536)] | UnsetType,
        Meta(description="greatest number of groups of group normalisation"),
    ] = UNSET
    hardness: Annotated[
        NotNegative, Meta(description="weight of hard negatives; 0 weights all alike")
    ] = UNSET
    include_positive: Annotated[
        Flag, Meta(description="whether InfoNCE's denominator holds the positive pair")
    ] = UNSET
    invariance: Annotated[NotNegative, Meta(description="weight of VICReg's alignment")] = UNSET
    layers: Annotated[Layers | UnsetType, Meta(description="number of convolutional layers")] = (
        UNSET
    )
    max_channels: Annotated[
        Size, Meta(description="channels of the arrays where channels are padding")
    ] = UNSET
    momentum: Annotated[BelowOne, Meta(description="momentum of the optimiser")] = UNSET
    negative_weight: Annotated[
        NotNegative, Meta(description="weight of the negatives in hard InfoNCE's denominator")
    ] = UNSET
    negatives: Annotated[Text, Meta(description="which samples of a batch are negatives")] = UNSET
    nesterov: Annotated[Flag, Meta(description="whether momentum is Nesterov's")] = UNSET
    norm: Annotated[
        Text, Meta(description='normalisation: "batch", "group", "layer" or "none"')
    ] = UNSET
    output_scale: Annotated[Positive, Meta(description="factor of the last layer's start")] = UNSET
    parametrisation: Annotated[Text, Meta(description='"ntk", "standard" or "mup"')] = UNSET
    readout: Annotated[Text, Meta(description="how a convolutional net is read out")] = UNSET
    redundancy: Annotated[
        NotNegative, Meta(description="weight of Barlow Twins' off-diagonal terms")
    ] = UNSET
    scale: Annotated[Positive, Meta(description="factor of a linear model's start")] = UNSET
    score: Annotated[Text, Meta(description="similarity that InfoNCE compares")] = UNSET
    slices: Annotated[Size, Meta(description="number of random projections of SIGReg")] = UNSET
    stem: Annotated[Text, Meta(description='stem of a ResNet, "small" or "large"')] = UNSET
    stride: Annotated[Size, Meta(description="stride of the convolutions")] = UNSET
    symmetric: Annotated[
        Flag, Meta(description="whether InfoNCE averages over both views as anchors")
    ] = UNSET
    target_std: Annotated[Positive, Meta(description="standard deviation that VICReg asks for")] = (
        UNSET
    )
    temperature: Annotated[Positive, Meta(description="temperature of the loss")] = UNSET
    trade_off: Annotated[Share, Meta(description="weight of SIGReg in LeJEPA")] = UNSET
    unbiased: Annotated[
        Flag, Meta(description="whether pairs of a sample with itself are left out")
    ] = UNSET
    uniform_scale: Annotated[Positive, Meta(description="scale of the uniformity")] = UNSET
    variance: Annotated[NotNegative, Meta(description="weight of VICReg's variances")] = UNSET
    weight: Annotated[NotNegative, Meta(description="weight of the uniformity")] = UNSET
    weight_decay: Annotated[NotNegative, Meta(description="weight decay of AdamW")] = UNSET
    weight_gradient: Annotated[
        Flag, Meta(description="whether the weights of hard negatives are differentiated")
    ] = UNSET
    weight_std: Annotated[Positive, Meta(description="gain of the layers")] = UNSET
    width: Annotated[Size, Meta(description="hidden width")] = UNSET


class StudyFile(Options, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """The keys before the first table of a study, and its tables."""

    store: Annotated[
        Name, Meta(description="folder or URL of the result; a sweep in it is resumed, or grows")
    ]
    steps: Annotated[
        Count | None, Meta(description="the last step; left out if `record` lists steps")
    ] = None
    record: Annotated[
        Annotated[int, Meta(ge=2, le=MOST_RECORDS)]
        | Annotated[list[Step], Meta(min_length=1, max_length=MOST_RECORDS)],
        Meta(
            description="number of record points after step 0, log-spaced up to the last step; or "
            "a list of increasing steps"
        ),
    ] = 20
    precision: Annotated[
        Literal["float32", "float64"],
        Meta(description="precision of the runs; float64 runs on the CPU"),
    ] = "float32"
    problem: Annotated[dict[str, Any], Meta(description="what all points share")] = field(
        default_factory=dict
    )
    axes: Annotated[
        dict[str, Any],
        Meta(
            description="field of the problem -> list of values, whose combinations run; `seed` "
            "is the number of seeds"
        ),
    ] = field(default_factory=dict)
    points: Annotated[
        list[dict[str, Any]] | None,
        Meta(description="explicit points, each a table of fields; the axes multiply them"),
    ] = None
    layout: Annotated[dict[str, Any], Meta(description="how the work is divided")] = field(
        default_factory=dict
    )
    until: Annotated[dict[str, Any] | None, Meta(description="when a point has enough seeds")] = (
        None
    )
