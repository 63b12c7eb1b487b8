"""Which array of a file is the embeddings and which is the labels, where nobody says so.

What was chosen among several arrays is said in a note. The weights of a model are not chosen.
"""

import re
from pathlib import Path

from jssl.data.readers import READERS, Contents, Entry
from jssl.data.readers.text_layout import LABELS
from jssl.errors import InputError

EMBEDDINGS = ("embeddings", "embedding", "emb", "features", "feature", "z")
"""Names of arrays that are taken for the embeddings."""

_WEIGHT = re.compile(
    r"(.*[./])?(weight|bias)(_[a-z]+\d*)?|(.*[./])?in_proj_(weight|bias)|"
    r"(.*[./])?(running_mean|running_var|num_batches_tracked|exp_avg|exp_avg_sq|momentum_buffer)|"
    r".*[./](kernel|bias|gamma|beta|scale)(:0)?|.*[./]vars/\d+"
)
"""Names of the weights of models of PyTorch, Flax and Keras, and of the states of optimisers."""

_SHOWN = 12


def choose_embeddings(file: Path, contents: Contents, key: str | None) -> str:
    """Return the name of the embeddings.

    Args:
        file: what is read, for messages.
        contents: its arrays.
        key: the name where one is given.

    Raises:
        InputError: for no or several candidates, an unknown key, and the weights of a model.
    """
    if not contents:
        message = f"{file} contains no arrays"
        raise InputError(message)
    if key is not None:
        require_key(file, contents, key)
        return key
    if set(contents) == {file.stem}:
        return file.stem
    names = [name for name, entry in contents.items() if _is_matrix(entry)]
    names = [name for name in names if _leaf(name) not in LABELS] or names
    called = [name for name in names if _leaf(name) in EMBEDDINGS]
    if len(called) == 1:
        return called[0]
    refuse_weights(file, contents, names)
    if len(contents) == 1:
        return next(iter(contents))
    if len(names) == 1:
        return names[0]
    which = "several arrays could be the embeddings" if names else "no array is (n, dim)"
    message = f"{file}: {which}; choose with --key: it holds {listed(contents)}"
    raise InputError(message)


def choose_labels(
    file: Path, contents: Contents, embeddings: str, rows: int, key: str | None
) -> tuple[str | None, list[str]]:
    """Return the name of the labels beside the embeddings, or None, and notes on the choice.

    Args:
        file: what is read, for messages.
        contents: its arrays.
        embeddings: the name of the embeddings.
        rows: of the embeddings.
        key: the name of the labels where one is given.

    Raises:
        InputError: for an unknown key, or one whose array has another number of entries.
    """
    if key is not None:
        require_key(file, contents, key)
        if contents[key].shape[:1] not in ((rows,), (None,)):
            message = f"{file}: '{key}' is {contents[key]}, for {rows:,} rows; labels need one each"
            raise InputError(message)
        return key, []
    named = [name for name in contents if name != embeddings and _leaf(name) in LABELS]
    named.sort(key=lambda name: (LABELS.index(_leaf(name)), len(name)))
    fitting = [n for n in named if contents[n].shape in ((rows,), (None,), (rows, 1))]
    notes = [
        f"'{name}' of {file} was not used as labels: it is {contents[name]}, for {rows:,} rows."
        for name in named
        if name not in fitting
    ]
    if not fitting:
        return None, notes
    others = " and ".join(f"'{name}'" for name in fitting[1:])
    chosen = f"The labels are '{fitting[0]}' of {file}"
    return fitting[0], [f"{chosen}, not {others}." if others else f"{chosen}.", *notes]


def label_file_names(contents: Contents, key: str | None) -> list[str]:
    """Return the names of what could be the labels in a file of labels, one where it is clear."""
    if key is not None:
        return [key]
    if len(contents) == 1:
        return list(contents)
    flat = [name for name, entry in contents.items() if len(entry.shape) == 1]
    named = [name for name in flat if _leaf(name) in LABELS]
    return sorted(named, key=lambda name: LABELS.index(_leaf(name)))[:1] or flat


def require_key(file: Path, contents: Contents, key: str) -> None:
    """Raise an error for a name that is not that of an array of a file."""
    if key not in contents:
        message = f"{file} has no '{key}'; it holds {listed(contents)}"
        raise InputError(message)


def listed(contents: Contents) -> str:
    """Return the arrays of a file with their shapes, the first of many."""

    def line(item: tuple[str, Entry]) -> str:
        return f"{item[0]} {item[1]}"

    shown = ", ".join(map(line, list(contents.items())[:_SHOWN]))
    more = len(contents) - _SHOWN
    return shown + (f" and {more:,} more" if more > 0 else "") if contents else "nothing"


def _leaf(name: str) -> str:
    return name.rsplit("/")[-1].lower()


def _is_matrix(entry: Entry) -> bool:
    return len(entry.shape) in (2, 3) and entry.dtype != "sparse"


def refuse_weights(file: Path, contents: Contents, names: list[str]) -> None:
    """Raise an error for arrays that are called as the weights of a model.

    A name alone, such as weight, counts only where its array could be the embeddings: data have
    columns of that name, and tables have such with points.
    """
    table = READERS.get(file.suffix.lower()) in ("tables", "text_files")
    others = [name for name in contents if not table and ("." in name or "/" in name)]
    weights = [name for name in (*names, *others) if _WEIGHT.fullmatch(name)]
    if weights:
        message = (
            f"{file} holds the weights of a model, such as '{weights[0]}', and not embeddings; "
            f"save what the model returns, or choose with --key: it holds {listed(contents)}"
        )
        raise InputError(message)
