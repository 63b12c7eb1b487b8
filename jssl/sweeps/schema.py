"""The keys of a study, typed: what each may hold, what it means, what it is if left out.

Each table of a study file is a `msgspec.Struct`: the type of a field is the type and range of the
key, its description the meaning. `jssl.sweeps.checks` checks values against these types and lists
the keys for the documentation; `msgspec.json.schema(StudyFile)` gives them as a JSON schema. The
keys of `[problem]` are in `jssl.sweeps.problem_schema`.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

LARGEST = 2**31 - 1
"""Greatest step and size: step counters and indices of a program have 32 bits."""
MOST_RECORDS = 1_000_000
"""Greatest number of record points."""
MOST_SEEDS = 2**32
"""Greatest number of seeds: run i starts from fold_in(key, i), where i has 32 bits."""
FLOAT_MAX = 1.7976931348623157e308
FLOAT32_MAX = 3.4028234663852886e38

Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, Meta(ge=1, le=LARGEST)]
Step = Annotated[int, Meta(ge=0, le=LARGEST)]
Finite = Annotated[float, Meta(ge=-FLOAT_MAX, le=FLOAT_MAX)]
NotNegative = Annotated[float, Meta(ge=0, le=FLOAT_MAX)]
Name = Annotated[str, Meta(min_length=1)]
Value = bool | Whole | Finite | str
"""A value of an axis, or of a list that is a value."""


class Layout(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """How the work is cut; none of these keys changes what a run computes."""

    chunk_seconds: Annotated[
        float,
        Meta(gt=0, le=1e9, description="predicted seconds of a chunk, the most that a crash costs"),
    ] = 20.0
    memory: Annotated[
        Annotated[float, Meta(gt=0, le=1e18)] | None,
        Meta(
            description="bytes that a device may use; if left out, 80 % of an accelerator's "
            "memory, or half of what is free"
        ),
    ] = None
    seed_block: Annotated[
        Count | None, Meta(description="seeds that are computed and stored together")
    ] = None
    segment: Annotated[
        Count | None, Meta(description="record points between two saved states of a long chunk")
    ] = None


class Until(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Seeds are added to a point until the interval of a mean is tight."""

    observable: Annotated[
        Name, Meta(description="name of the observable, which is read at the last step")
    ]
    half_width: Annotated[
        NotNegative,
        Meta(description="wanted half width of the interval, in the units of the observable"),
    ] = 0.0
    relative: Annotated[
        NotNegative,
        Meta(description="wanted half width as a share of the mean; the larger width counts"),
    ] = 0.0
    level: Annotated[float, Meta(gt=0, lt=1, description="level of the interval")] = 0.95
    least: Annotated[
        int, Meta(ge=2, le=LARGEST, description="number of seeds that every point gets")
    ] = 8
    select: Annotated[
        dict[str, Annotated[int, Meta(ge=-LARGEST, le=LARGEST)]],
        Meta(description="index, from 0, for each dimension that the observable has of its own"),
    ] = {}


class Options(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What a study file and `jssl.sweep` share besides the axes."""

    seed: Annotated[
        int, Meta(ge=0, le=2**32 - 1, description="root seed; the key of every run follows from it")
    ] = 0
    parallel: Annotated[
        Literal["seed", "batch"],
        Meta(description="what is split over the devices: the runs, or the batch of every run"),
    ] = "seed"
    zip: Annotated[
        list[list[Name]],
        Meta(description="groups of axes of equal length that run along one dimension"),
    ] = []
    static: Annotated[
        list[Name],
        Meta(
            description="axes of floats that the problem needs as Python numbers; each value is "
            "a program"
        ),
    ] = []


class StudyFile(Options, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """The keys before the first table of a study, and its tables."""

    store: Annotated[
        Name, Meta(description="folder of the result, made, or continued if it is there")
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
    problem: Annotated[dict[str, Any], Meta(description="what all points share")] = {}
    axes: Annotated[
        dict[str, Any],
        Meta(
            description="field of the problem -> list of values, whose combinations run; `seed` "
            "is the number of seeds"
        ),
    ] = {}
    points: Annotated[
        list[dict[str, Any]] | None,
        Meta(description="explicit points, each a table of fields; the axes multiply them"),
    ] = None
    layout: Annotated[dict[str, Any], Meta(description="how the work is cut")] = {}
    until: Annotated[dict[str, Any] | None, Meta(description="when a point has enough seeds")] = (
        None
    )
