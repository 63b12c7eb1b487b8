"""The commands of the command line and their options.

To check a default of the type `X | None` or `tuple[X, ...]`, tyro imports typeguard, which takes
0.05 s of every command. `Optional[X]` and a class, such as `PathTuple`, need no such check.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Optional

import tyro

from jssl.commands.parsing import one_line, refuse_empty

Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
"""An option that takes no value."""


class PathTuple(tuple[Path, ...]):
    """Paths of files."""

    __slots__ = ()


Paths = Annotated[
    PathTuple,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar="[PATH [PATH ...]]",
        instance_from_str=lambda words: PathTuple(map(Path, words)),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda paths: [str(path) for path in paths],
    ),
]
"""An option of any number of paths."""
NO_PATHS = PathTuple()


@dataclass(frozen=True)
class Reproduce:
    """Run the claims of papers, print the verdicts, and write report.html and report.json.

    A claim holds if the measurement agrees with the prediction and excludes every rival prediction,
    and is undecided if it agrees but does not exclude them. The exit status is 1 if a claim fails
    and 3 if none fails but one is undecided.
    """

    papers: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Names or arXiv numbers of papers; all papers by default."""
    scale: Literal["quick", "paper", "large"] = "quick"
    """quick takes minutes on two cores; paper uses the sizes of the paper; large is larger than \
in the paper; no results of it are recorded."""
    out: Path = Path("jssl-out")
    """Folder for the report, created if needed."""
    overwrite: Flag = False
    """Replace an earlier report in that folder."""
    seed: int = 0
    """Root seed of all random draws, 0 or more."""
    jobs: Optional[int] = None
    """Number of processes that run studies in parallel; by default, one per core on CPU and 1 \
elsewhere."""
    list: Flag = False
    """Print the papers and their arXiv numbers, and run nothing."""


@dataclass(frozen=True)
class Predict:
    """Predict which dimensions an encoder will learn, in which order, and when."""

    pairs: Optional[Path] = None
    """Two views of each sample: an .npz file of two arrays (n, ...), or a .npy file (2, n, ...)."""
    images: Optional[str] = None
    """Images from which --views makes pairs: a folder, an .npz file, or the name of a data set \
(digits, fashion_mnist, cifar10, stl10)."""
    views: Optional[str] = None
    """Augmentations of --images, such as crop=0.5,flip,noise=0.1; one or more of blur, \
brightness, crop, cutout, flip, grayscale, identity, jitter, noise, resized_crop, shift, or simclr \
for its usual recipe; by default crop,noise. The word fresh among them says that training draws \
views anew in every step, as in fresh,simclr."""
    loss: str = "barlow_twins_linearized"
    """Loss: simclr, barlow_twins_linearized, barlow_twins, vicreg_squared, vicreg, \
spectral_contrastive, info_nce. For linear encoders also jepa and lejepa."""
    dim: int = 16
    """Dimension of the embedding."""
    kernel: Optional[str] = None
    """Kernel of the encoder: linear, mlp-<activation>-<layers> or conv-<activation>-<layers>; by \
default mlp-relu-3. With --loss jepa, use linear (the default) or linear-<layers>, with 1 to 64 \
layers. With --loss lejepa, use linear."""
    width: Optional[int] = None
    """Number of hidden units or channels of finite networks with the architecture of --kernel; by \
default, the forecast is for infinite width."""
    nets: Optional[int] = None
    """Number of random networks of --width, whose median and spread are the forecast; 8 by \
default."""
    simulate: int = 0
    """Number of these networks that are also trained on the same pairs, beside the forecast."""
    learning_rate: Optional[float] = None
    """Learning rate of gradient descent; a tenth of the largest stable one by default."""
    scale: Optional[float] = None
    """Factor by which the initial embeddings are multiplied; by default, small enough \
for separate steps."""
    temperature: Optional[float] = None
    """Temperature, for losses that use one; 0.5 by default."""
    trade_off: Optional[float] = None
    """Weight of SIGReg in lejepa, above 0 and below 1; 0.05 by default."""
    batch: Optional[int] = None
    """Batch size, which only lejepa uses; by default all pairs."""
    weight_decay: float = 0.0
    """Weight-decay coefficient, the factor of the squared norm of the parameters; only with \
--kernel linear."""
    placement: str = "augmented-augmented-augmented"
    """Which inputs of simclr are augmented, as anchor-positive-negatives; each is clean or \
augmented."""
    clean_first: Optional[bool] = None
    """Whether the pairs are (clean, augmented); by default, estimated if --placement is given."""
    count: int = 2000
    """Largest number of pairs; more are sampled at random."""
    size: Optional[int] = None
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

    The exit status is 2 if a file or a checkpoint cannot be used; the others are still reported.
    """

    embeddings: Annotated[Paths, tyro.conf.Positional]
    """Files of embeddings (n, dim), a folder or a pattern; several files are one set, in natural \
order, or in that given if it is not alphabetical. Supported formats: .npy, .npz, .pt, .pth, \
.safetensors, .parquet, .arrow, .feather, .h5, .hdf5, .h5ad, .csv, .tsv. Files are read in chunks \
and may be larger than memory."""
    key: Optional[str] = None
    """Name of the embeddings in files of several arrays, such as obsm/X_scVI."""
    dtype: Optional[str] = None
    """Type of values that NumPy stores as void: bfloat16, or a type of ml_dtypes such as \
float8_e4m3fn."""
    pool: Optional[Literal["mean", "cls", "none"]] = None
    """How embeddings (n, tokens, dim) become rows: the mean of the tokens, the first token, or \
each token as a row; refused where no file holds tokens."""
    labels: Optional[Path] = None
    """File, folder or pattern with the class label of each row, for probes; by default, the array \
called labels, label, y or targets beside the embeddings, where there is one, in this order."""
    label_key: Optional[str] = None
    """Name of the labels in files of several arrays: in --labels, or beside the embeddings."""
    views: Optional[Path] = None
    """File, folder or pattern of embeddings of second views in the same order, for alignment and \
LiDAR."""
    train: Optional[Path] = None
    """File, folder or pattern of training embeddings for the probes, with --test; by default, the \
positional embeddings."""
    train_labels: Optional[Path] = None
    """Classes of --train; by default, the array called labels beside them."""
    test: Optional[Path] = None
    """File, folder or pattern of embeddings on which these probes are tested."""
    test_labels: Optional[Path] = None
    """Classes of --test; by default, the array called labels beside them."""
    checkpoints: Paths = NO_PATHS
    """Files of embeddings at checkpoints; they are sorted by the numbers in their names. With \
several folders, each is a run, and the runs are compared."""
    checkpoint_views: Paths = NO_PATHS
    """Files or folders of the second views at the same checkpoints, with the same file names."""
    out: Optional[Path] = None
    """Folder for the report, created if needed; by default jssl-diagnose, and none with --json."""
    overwrite: Flag = False
    """Replace an earlier report in that folder."""
    seed: int = 0
    """Seed of the sample of rows whose pairs are compared, and of the split for the probes."""
    exact: Flag = False
    """Compare the pairs of all rows, not only those of 10,000 rows."""
    json: Flag = False
    """Print the report as JSON, and nothing else, to standard output."""
    fail_on: Optional[Literal["collapse", "dimensional"]] = None
    """Exit with status 3 on a complete collapse or rows near one point (collapse), or on that and \
on a dimensional collapse (dimensional), of the embeddings; checkpoints do not count. \
Status 2 goes before it: a file or a checkpoint was left out."""


@dataclass(frozen=True)
class Compare:
    """Compare embeddings of the same rows by several encoders, or layers of one.

    The report plots all spectra in one figure, gives debiased CKA and the overlap of subspaces, and
    ranks the encoders by a criterion that needs no labels. The exit status is 2 if a file cannot be
    used; the others are still compared.
    """

    files: Annotated[Paths, tyro.conf.Positional]
    """A file, folder or pattern of embeddings (n, dim) for each encoder, of the formats of jssl \
diagnose, or one file of several arrays, which are layers."""
    key: Optional[str] = None
    """Name of the embeddings in files of several arrays; by default, all of them."""
    dtype: Optional[str] = None
    """Type of values that NumPy stores as void, such as bfloat16."""
    pool: Optional[Literal["mean", "cls", "none"]] = None
    """How embeddings (n, tokens, dim) become rows, as for jssl diagnose."""
    labels: Optional[Path] = None
    """File with the class label of each row, for probes."""
    label_key: Optional[str] = None
    """Name of the labels in a file of several arrays."""
    criterion: str = "rankme"
    """Criterion of the ranking: rankme, effective-rank or participation-ratio; high is better in \
all."""
    out: Optional[Path] = None
    """Folder for the report, created if needed; by default jssl-compare, and none with --json."""
    overwrite: Flag = False
    """Replace an earlier report in that folder."""
    seed: int = 0
    """Seed of the sample of rows that are compared, and of the draws of the ranking."""
    json: Flag = False
    """Print the report as JSON, and nothing else, to standard output."""


@dataclass(frozen=True)
class Sweep:
    """Run or resume a study from a TOML file; jssl.studies.study_file lists its keys."""

    study: Annotated[Path, tyro.conf.Positional]
    """The TOML file of the study."""
    plan: Flag = False
    """Print the programs, chunks, memory and predicted time, and write nothing."""
    shard: Optional[str] = None
    """i/n with i from 0: compute every n-th chunk, from chunk i on. Other commands with the same \
store compute the other n - 1 shards."""
    devices: Optional[int] = None
    """Number of CPU devices, at most 1024; one per core by default."""
    coordinator: Optional[str] = None
    """host:port of process 0, with --num-processes and --process-id; or auto on TPU pods and \
Slurm."""
    num_processes: Optional[int] = None
    """Number of processes that run this study together."""
    process_id: Optional[int] = None
    """Index of this process, from 0."""
    coordinator_timeout: int = 300
    """Seconds to wait for the other processes to start; after that, the exit status is 1."""
    scheduler: Optional[str] = None
    """Address of a dask scheduler, such as tcp://host:8786, whose workers compute the study."""


@dataclass(frozen=True)
class Report:
    """Write figures and tables of a sweep: error bars over seeds, power laws in the width."""

    folder: Annotated[str, tyro.conf.Positional]
    """The store of the sweep, or its URL; it need not be finished."""
    out: Optional[Path] = None
    """Folder for the report; by default, the name of the store followed by -report."""
    overwrite: Flag = False
    """Replace an earlier report in that folder."""
    watch: Flag = False
    """Write the report again whenever the sweep has stored something, until it is finished."""


@dataclass(frozen=True)
class Doctor:
    """Print the devices, versions, precision, kernels and data sets of this machine."""


Command = Reproduce | Predict | Diagnose | Compare | Sweep | Report | Doctor


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
                "compare": Compare,
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
