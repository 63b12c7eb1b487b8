"""The commands and their options, as the command line reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jssl.commands.parsing import one_line

Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
"""An option without a value, and without a second option that turns it off."""


@dataclass(frozen=True)
class Reproduce:
    """Run papers' claims, print the verdicts, write report.html and report.json.

    Exit status 1 if a claim fails.
    """

    papers: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Which papers, by name or arXiv number; all if none is named."""
    scale: Literal["quick", "paper", "large"] = "quick"
    """quick: minutes on two cores; paper: the paper's own sizes; large: larger than in the paper, \
never run."""
    out: Path = Path("jssl-out")
    """Folder for the report, created if needed."""
    overwrite: Flag = False
    """Replace an earlier report in that folder."""
    seed: int = 0
    """Root seed of every random draw, 0 or more."""
    jobs: int | None = None
    """Processes that run studies side by side; one per core on CPU by default, 1 elsewhere."""
    list: Flag = False
    """Print the papers and their arXiv numbers; run nothing."""


@dataclass(frozen=True)
class Predict:
    """Say before training which dimensions an encoder will learn, in which order, and when."""

    pairs: Path | None = None
    """An .npz of two arrays (n, ...), the two views row by row, or a .npy (2, n, ...)."""
    images: str | None = None
    """A folder or .npz of images, or digits, fashion_mnist, cifar10, stl10; with --views."""
    views: str = "crop,noise"
    """Augmentation of --images, such as crop=0.5,flip,noise=0.1; see jssl.data.views."""
    loss: str = "barlow_twins_linearized"
    """Such as barlow_twins, simclr, vicreg; jssl.forecast.rules lists them."""
    dim: int = 16
    """Embedding dimension."""
    kernel: str = "mlp-relu-3"
    """linear, mlp-<activation>-<layers> or conv-<activation>-<layers>."""
    learning_rate: float | None = None
    """Of gradient descent; a tenth of the largest stable one by default."""
    scale: float | None = None
    """Multiplies the encoder's initial embedding; small enough for separate steps by default."""
    temperature: float = 0.5
    """Temperature, for losses that use one."""
    weight_decay: float = 0.0
    """Multiplies the squared norm of the parameters; of the kernel linear only."""
    placement: str = "augmented-augmented-augmented"
    """Where simclr's augmentation acts: anchor-positive-negatives."""
    clean_first: bool | None = None
    """Whether pairs are (clean, augmented); found out where a placement is given."""
    count: int = 2000
    """Pairs at most, drawn at random."""
    size: int | None = None
    """Side to which images of a folder are resized; 32 where they differ or are above 64."""
    out: Path = Path("jssl-predict")
    """Folder for the report, created if needed."""
    overwrite: Flag = False
    """Replace an earlier report in that folder."""
    seed: int = 0
    """Of the draw, the views and the split into halves."""


@dataclass(frozen=True)
class Diagnose:
    """Read embeddings: spectrum, ranks, collapse, views, labels, and the steps over checkpoints.

    Exit status 2 if a checkpoint could not be used; the others are reported all the same.
    """

    embeddings: Annotated[Path, tyro.conf.Positional]
    """The .npy file, (n, dim); it is read in chunks and may be larger than memory."""
    labels: Path | None = None
    """A .npy file of n classes, for the probes."""
    views: Path | None = None
    """A .npy file of the embeddings of second views, row by row, for alignment and LiDAR."""
    over: tuple[Path, ...] = ()
    """Embeddings at checkpoints, in the order of the numbers in their names."""
    out: Path = Path("jssl-diagnose")
    """Folder for the report, created if needed."""
    overwrite: Flag = False
    """Replace an earlier report in that folder."""
    seed: int = 0
    """Of the random sample of rows that are compared pair by pair."""
    exact: Flag = False
    """Compare all pairs of rows, not those of 10,000."""


@dataclass(frozen=True)
class Sweep:
    """Run a study from a TOML file, or resume it; see jssl.sweeps.study for its keys."""

    study: Annotated[Path, tyro.conf.Positional]
    """The TOML file."""
    plan: Flag = False
    """Print programs, chunks, memory and predicted time; write nothing."""
    shard: str | None = None
    """i/n, i from 0: compute every n-th chunk, beside n - 1 others on the same store."""
    devices: int | None = None
    """CPU devices, at most 1024; one per core by default."""
    coordinator: str | None = None
    """host:port of process 0, or auto on TPU pods and Slurm; with the two numbers below."""
    num_processes: int | None = None
    """How many processes run this study together."""
    process_id: int | None = None
    """Which of them this is, from 0."""
    coordinator_timeout: int = 300
    """Seconds to wait until all processes have met; then the command ends with status 1."""


@dataclass(frozen=True)
class Report:
    """Draw figures and tables of a sweep: error bars over seeds, width plots with exponents."""

    folder: Annotated[Path, tyro.conf.Positional]
    """The store that a sweep wrote."""
    out: Path | None = None
    """Folder for the report; the store's name with -report by default."""
    overwrite: Flag = False
    """Replace an earlier report in that folder."""


@dataclass(frozen=True)
class Doctor:
    """Print devices, versions, precision, usable kernels and data sets, and what to do."""


Command = Reproduce | Predict | Diagnose | Sweep | Report | Doctor


def parse(arguments: Sequence[str] | None = None) -> Command:
    """Return the command that arguments ask for.

    Example:
        >>> parse(["report", "runs/study"]).overwrite
        False

    Args:
        arguments: what follows `jssl`; those of this process by default.

    Raises:
        SystemExit: with status 2, after one line, for arguments that are not understood; with
            status 0 after a page of help.
    """
    with one_line("jssl"):
        command: Command = tyro.extras.subcommand_cli_from_dict(
            {
                "reproduce": Reproduce,
                "predict": Predict,
                "diagnose": Diagnose,
                "sweep": Sweep,
                "report": Report,
                "doctor": Doctor,
            },
            prog="jssl",
            description=(
                "State an SSL problem once; ask theory and simulation the same question. "
                "`jssl --version` prints the version."
            ),
            args=list(arguments) if arguments is not None else None,
        )
    return command
