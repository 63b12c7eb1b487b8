"""`jssl diagnose`: read embeddings from files, print the summary, write the report."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from jssl.commands.checkpoint_files import stored_runs
from jssl.data.embedding_files import (
    EmbeddingSet,
    StoredEmbeddings,
    read_embeddings,
    read_labels_for,
)
from jssl.data.file_sets import note_on_columns
from jssl.diagnosis.diagnosis import diagnose
from jssl.diagnosis.given_split import Split
from jssl.diagnosis.labels import read_labels
from jssl.diagnosis.page import page_of
from jssl.diagnosis.result import Diagnosis
from jssl.errors import InputError
from jssl.formulas.severity import is_severe
from jssl.formulas.verdict import Thresholds, state_of
from jssl.report.files import new_report_folder
from jssl.report.page import Page, page_json, write_page

DEFAULT_FOLDER = Path("jssl-diagnose")
"""Folder of the report, where none is given and no JSON is printed."""


def run_diagnose(
    embeddings: Sequence[Path],
    labels: Path | None,
    views: Path | None,
    checkpoints: Sequence[Path],
    out: Path | None,
    seed: int,
    exact: bool,
    overwrite: bool = False,
    checkpoint_views: Sequence[Path] = (),
    key: str | None = None,
    label_key: str | None = None,
    dtype: str | None = None,
    pool: str | None = None,
    json: bool = False,
    fail_on: str | None = None,
    train: Path | None = None,
    train_labels: Path | None = None,
    test: Path | None = None,
    test_labels: Path | None = None,
) -> int:
    """Diagnose the embeddings of files.

    Returns:
        0; 2 where a file or checkpoint was left out; otherwise 3 where the embeddings have
        collapsed as `fail_on` asks.

    Raises:
        InputError: for files that cannot be used; before anything is written.
    """
    require_partners(
        ("--train", train, "--test", test),
        ("--train-labels", train_labels, "--train", train),
        ("--test-labels", test_labels, "--test", test),
        ("--checkpoint-views", checkpoint_views, "--checkpoints", checkpoints),
    )
    folder = report_folder(out, DEFAULT_FOLDER, json=json, overwrite=overwrite)
    options: dict[str, Any] = {"key": key, "dtype": dtype, "pool": pool}
    fits = test is not None and train is None  # a split needs labels: they cannot be left out
    own = _with_labels(embeddings, labels, label_key, options, needed=fits)
    given, names = own
    fitted, tested = (
        None if path is None else _with_labels([path], of_path, label_key, options, needed=True)
        for path, of_path in ((train, train_labels), (test, test_labels))
    )
    second = None if views is None else _views(views, given, options)
    stored, stored_views = (
        stored_runs(paths, **options) if paths else None
        for paths in (checkpoints, checkpoint_views)
    )
    read = [given, *(part[0] for part in (fitted, tested) if part), *([second] if second else [])]
    held = (part.pooled for part in read)
    require_tokens(pool, chain(held, map(_hold_tokens, (stored, stored_views))))
    diagnosis = diagnose(
        given.z,
        names,
        None if second is None else second.z,
        stored,
        checkpoint_views=stored_views,
        seed=seed,
        exact=exact,
        split=_split(own, fitted, tested),
        samples=None if names is None else given.samples,
    )
    left_out = tuple(failure for part in read for failure in part.failures)
    notes = tuple(dict.fromkeys(note for part in read for note in part.notes))
    notes += tuple(f"{failure} (left out)" for failure in left_out)
    diagnosis = diagnosis._replace(caveats=(*notes, *diagnosis.caveats))
    asked = {"embeddings": _named(given.files), "labels": labels, "views": views} | options
    asked["key"] = key or given.key
    asked |= {"train": train, "test": test}
    asked = {k: v for k, v in asked.items() if v is not None} | {"exact": exact}
    failures = tuple(f for run in diagnosis.runs.values() for f in run.failures)
    shown = [c for c in diagnosis.caveats if not c.endswith((*failures, "(left out)"))]
    page = page_of(diagnosis, asked | dict(diagnosis.settings))
    hand_out(page, folder, (*diagnosis.summary, *shown), json=json)
    for failure in (*left_out, *failures):
        print(f"jssl: {failure}", file=sys.stderr)
    return 2 if failures or left_out else _status(diagnosis, fail_on)


def _split(
    own: tuple[EmbeddingSet, Any],
    train: tuple[EmbeddingSet, Any] | None,
    test: tuple[EmbeddingSet, Any] | None,
) -> Split | None:
    """Return the split for probes, fitted on the embeddings themselves without a train set."""
    if test is None:
        return None
    fitted, names = own if train is None else train
    if train is None and names is None:
        message = "the probes are fitted on the embeddings, which have no labels; pass --labels"
        raise InputError(message)
    return Split(fitted.z, names, test[0].z, test[1], test[0].samples)


def require_partners(*pairs: tuple[str, Any, str, Any]) -> None:
    """Raise an error for an option without the one that it belongs to."""
    for option, value, partner, other in pairs:
        if value not in (None, ()) and other in (None, ()):
            message = f"{option} needs {partner}; add it, or leave {option} out"
            raise InputError(message)


def require_tokens(pool: str | None, held: Iterable[bool]) -> None:
    """Raise an error for --pool where no file holds tokens.

    Args:
        pool: of tokens, or None.
        held: whether each of the files holds tokens; not asked without `pool`.
    """
    if pool is None or any(held):
        return
    message = (
        f"--pool {pool} is for (n, tokens, dim), and the embeddings are (n, dim); leave it out"
    )
    raise InputError(message)


def _hold_tokens(stored: Any) -> bool:
    """Return whether a file of checkpoints, or of their views, holds tokens."""
    if isinstance(stored, StoredEmbeddings):
        return stored.holds_tokens()
    return any(map(_hold_tokens, (stored or {}).values()))


def _views(path: Path, given: EmbeddingSet, options: Mapping[str, Any]) -> EmbeddingSet:
    """Return the views of a file, with a caveat where its columns have other names.

    Raises:
        InputError: where its columns have the same names in another order.
    """
    second = read_embeddings(path, name="views", **options)
    if not (given.columns and second.columns) or given.z.shape[1] != second.z.shape[1]:
        return second
    notes = note_on_columns(given.columns, second.columns)
    return second._replace(notes=(*second.notes, *notes))


def _with_labels(
    files: Sequence[Path],
    labels: Path | None,
    key: str | None,
    options: dict[str, Any],
    *,
    needed: bool,
) -> tuple[EmbeddingSet, Any]:
    """Return embeddings of files, and labels of another file or from beside them.

    Labels beside them that nobody asked for and that are no classes are left out with a note.

    Raises:
        InputError: for files that cannot be used, and labels that are asked for or needed.
    """
    found = read_embeddings(files, label_key=key if labels is None else None, **options)
    if labels is None:
        if found.labels is not None and key is None:
            try:
                read_labels(found.labels, len(found.z))
            except InputError as error:
                found = found.without_labels(str(error))
        if needed and found.labels is None and found.unused:
            raise InputError(found.unused[0].rstrip("."))
        return found, found.labels
    names, notes = read_labels_for(labels, key, len(found.z), found.samples)
    return found.with_labels(names, notes), names


def _named(files: Sequence[Path]) -> str:
    first = str(files[0])
    return first if len(files) == 1 else f"{first} to {files[-1]}, {len(files):,} files"


def report_folder(out: Path | None, default: Path, *, json: bool, overwrite: bool) -> Path | None:
    """Return the folder of a report: that given, the default one, or none where JSON is printed."""
    if json and out is None:
        if overwrite:
            message = "--json writes no report without --out; add --out, or leave --overwrite out"
            raise InputError(message)
        return None
    return new_report_folder(default if out is None else out, overwrite=overwrite)


def hand_out(page: Page, folder: Path | None, sentences: Sequence[str], *, json: bool) -> None:
    """Write a page into a folder, if there is one, and print its sentences or its JSON."""
    written = None if folder is None else write_page(page, folder)
    if json:
        print(page_json(page), end="")
        return
    for sentence in sentences:
        print(sentence)
    if written is not None:
        print(f"{written[0]} and {written[1].name}")


def _status(diagnosis: Diagnosis, fail_on: str | None) -> int:
    """Return 3, after a line that says so, for a collapse as severe as asked for; otherwise 0."""
    state = state_of(diagnosis.verdict, Thresholds())
    near = state == "near one point"
    if not is_severe("complete" if near else state, fail_on):
        return 0
    what = f"rows {state}" if near else f"{state} collapse"
    print(f"jssl: {what}, exit status 3 (--fail-on {fail_on})", file=sys.stderr)
    return 3
