"""The commands of the command line and their options."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jssl.commands.parsing import one_line, refuse_empty

Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
"""An option that takes no value."""


@dataclass(frozen=True)
class Reproduce:
    """Run the claims of papers, print the verdicts, and write report.html and report.json.

    The exit status is 1 if a claim fails.
    """

    papers: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Names or arXiv numbers of papers; all papers by default."""
    scale: Literal["quick", "paper", "large"] = "quick"
    """quick takes minutes on two cores; paper uses the sizes of the paper; large is larger than \
in the paper and has never been run."""
    out: Path = Path("jssl-out")
    """Folder for the report, created if needed."""
    overwrite: Flag = False
    """Replace an earlier report in that folder."""
    seed: int = 0
    """Root seed of all random draws, 0 or more."""
    jobs: int | None = None
    """Number of processes that run studies in parallel; by default, one per core on CPU and 1 \
elsewhere."""
    list: Flag = False
    """Print the papers and their arXiv numbers, and run nothing."""


@dataclass(frozen=True)
class Predict:
    """Predict which dimensions an encoder will learn, in which order, and when."""

    pairs: Path | None = None
    """Two views of each sample: an .npz file of two arrays (n, ...), or a .npy file (2, n, ...)."""
    images: str | None = None
    """Images from which --views makes pairs: a folder, an .npz file, or the name of a data set \
(digits, fashion_mnist, cifar10, stl10)."""
    views: str = "crop,noise"
    """Augmentations of --images, such as crop=0.5,flip,noise=0.1; one or more of \
brightness, crop, cutout, flip, identity, noise, shift."""
    loss: str = "barlow_twins_linearized"
    """Loss: simclr, barlow_twins_linearized, barlow_twins, vicreg_squared, vicreg, \
spectral_contrastive, info_nce."""
    dim: int = 16
    """Dimension of the embedding."""
    kernel: str = "mlp-relu-3"
    """Kernel of the encoder: linear, mlp-<activation>-<layers> or conv-<activation>-<layers>."""
    width: int | None = None
    """Hidden neurons, or channels, of the kernel, for the forecast of random networks of this \
width; by default, of the limit of infinite width."""
    nets: int = 8
    """Number of random networks of --width, whose median and spread are the forecast."""
    simulate: int = 0
    """Number of these networks that are also trained on the same pairs, beside the forecast."""
    learning_rate: float | None = None
    """Learning rate of gradient descent; a tenth of the largest stable one by default."""
    scale: float | None = None
    """Factor of the encoder's initial embedding; by default, small enough for separate steps."""
    temperature: float = 0.5
    """Temperature, for losses that use one."""
    weight_decay: float = 0.0
    """Factor of the squared norm of the parameters; for the kernel linear only."""
    placement: str = "augmented-augmented-augmented"
    """Which inputs of simclr are augmented, as anchor-positive-negatives; each is clean or \
augmented."""
    clean_first: bool | None = None
    """Whether the pairs are (clean, augmented); by default, estimated if --placement is given."""
    count: int = 2000
    """Largest number of pairs; more are sampled at random."""
    size: int | None = None
    """Side in pixels to which images of a folder are resized; by default, 32 if their sizes \
differ or exceed 64."""
    out: Path = Path("jssl-predict")
    """Folder for the report, created if needed."""
    overwrite: Flag = False
    """Replace an earlier report in that folder."""
    seed: int = 0
    """Seed of the sample of pairs, the views and the split into halves."""


@dataclass(frozen=True)
class Diagnose:
    """Report the spectrum, ranks, collapse and other metrics of embeddings.

    The exit status is 2 if a checkpoint cannot be used; the others are still reported.
    """

    embeddings: Annotated[Path, tyro.conf.Positional]
    """A .npy file of embeddings (n, dim); it is read in chunks and may be larger than memory."""
    labels: Path | None = None
    """A .npy file of n classes, for the accuracies of probes."""
    views: Path | None = None
    """A .npy file of embeddings of second views in the same order, for alignment and LiDAR."""
    checkpoints: tuple[Path, ...] = ()
    """Files of embeddings at checkpoints; they are sorted by the numbers in their names."""
    out: Path = Path("jssl-diagnose")
    """Folder for the report, created if needed."""
    overwrite: Flag = False
    """Replace an earlier report in that folder."""
    seed: int = 0
    """Seed of the sample of rows whose pairs are compared, and of the split for the probes."""
    exact: Flag = False
    """Compare the pairs of all rows, not only those of 10,000 rows."""


@dataclass(frozen=True)
class Sweep:
    """Run or resume a study from a TOML file; jssl.studies.study_file lists its keys."""

    study: Annotated[Path, tyro.conf.Positional]
    """The TOML file of the study."""
    plan: Flag = False
    """Print the programs, chunks, memory and predicted time, and write nothing."""
    shard: str | None = None
    """i/n with i from 0: compute every n-th chunk, from chunk i on. Other commands with the same \
store compute the other n - 1 shards."""
    devices: int | None = None
    """Number of CPU devices, at most 1024; one per core by default."""
    coordinator: str | None = None
    """host:port of process 0, with --num-processes and --process-id; or auto on TPU pods and \
Slurm."""
    num_processes: int | None = None
    """Number of processes that run this study together."""
    process_id: int | None = None
    """Index of this process, from 0."""
    coordinator_timeout: int = 300
    """Seconds to wait for the other processes to start; after that, the exit status is 1."""


@dataclass(frozen=True)
class Report:
    """Write figures and tables of a sweep: error bars over seeds, power laws in the width."""

    folder: Annotated[Path, tyro.conf.Positional]
    """The store of the sweep."""
    out: Path | None = None
    """Folder for the report; by default, the name of the store followed by -report."""
    overwrite: Flag = False
    """Replace an earlier report in that folder."""


@dataclass(frozen=True)
class Doctor:
    """Print the devices, versions, precision, kernels and data sets of this machine."""


Command = Reproduce | Predict | Diagnose | Sweep | Report | Doctor


def parse(arguments: Sequence[str] | None = None) -> Command:
    """Return the command and options that the arguments state.

    Example:
        >>> parse(["report", "runs/study"]).overwrite
        False

    Args:
        arguments: the words after `jssl`; those of this process by default.

    Raises:
        SystemExit: with status 2, after one line, for invalid arguments; with status 0 after a
            page of help.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    refuse_empty(words, "jssl")
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
                "Simulate self-supervised learning dynamics and compare them with theory. "
                "`jssl --version` prints the version."
            ),
            args=words,
        )
    return command
