"""The state of `jssl.kernels.leading_modes` in a file, with a digest of what it belongs to."""

import os
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from jssl.errors import InputError, printable, shown
from jssl.kernels.host_krylov import HostSpace
from jssl.paths import expanded


class Checkpoint:
    """A file that holds a Krylov space."""

    def __init__(self, path: str | os.PathLike[str], digest: str) -> None:
        """Name the file; nothing is read or written.

        Args:
            path: in a folder that exists.
            digest: of the work that the space belongs to.

        Raises:
            InputError: nothing can be written there.
        """
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            message = f"checkpoint must be the name of a file; got {shown(path)}"
            raise InputError(message)
        self._path: Path = expanded(path)
        self._digest = digest
        try:
            self._beside = self._path.with_name(self._path.name + ".part")
            if not self._path.parent.is_dir():
                message = f"no folder {self._path.parent} for the checkpoint; create it first"
                raise InputError(message)
            if self._path.exists() and not self._path.is_file():
                message = f"{self._path} is no file; give the name of a file for the checkpoint"
                raise InputError(message)
            self._beside.open("wb").close()
            self._beside.unlink()
        except InputError:
            raise
        except (OSError, ValueError) as error:
            raise self._not_written(error) from error

    def _not_written(self, error: Exception) -> InputError:
        reason = printable(getattr(error, "strerror", None) or str(error))
        name = printable(str(self._path))
        return InputError(f"cannot write the checkpoint {name}: {reason}; give another file")

    def read(self) -> HostSpace | None:
        """Return the space, None where there is no file."""
        if not self._path.exists():
            return None
        try:
            with self._path.open("rb") as file, np.load(file) as held:
                digest = str(held["digest"])
                fields = {name: held[name] for name in held.files}
                space = _space(fields)
        except (
            OSError,
            ValueError,
            KeyError,
            EOFError,
            TypeError,
            BadZipFile,
            zlib.error,
        ) as error:
            message = (
                f"{self._path} is not a checkpoint of this function; delete it, or give another "
                "file"
            )
            raise InputError(message) from error
        if digest != self._digest:
            message = (
                f"{self._path} belongs to other pairs, another model, or another dim or width; "
                "delete it, or give another file"
            )
            raise InputError(message)
        return space

    def write(self, space: HostSpace) -> None:
        """Put the space in the place of the one before, as a whole."""
        held = _fields(space)
        try:
            with self._beside.open("wb") as file:
                np.savez(file, digest=self._digest, **held)
            os.replace(self._beside, self._path)
        except OSError as error:
            self._beside.unlink(missing_ok=True)
            raise self._not_written(error) from error


_BLOCKS = "basis", "image"


def _fields(space: HostSpace) -> dict[str, Any]:
    """Return the arrays of a space by name, a block each."""
    fields = space._asdict()
    for name in _BLOCKS:
        fields |= {f"{name} {index}": block for index, block in enumerate(fields.pop(name))}
    return fields


def _space(fields: dict[str, Any]) -> HostSpace:
    found: dict[str, Any] = {name: fields[name] for name in HostSpace._fields[len(_BLOCKS) :]}
    for name in ("norm", "scale", "lowest", "products", "unit"):
        found[name] = found[name].item()
    for name in _BLOCKS:
        count = sum(key.startswith(name) for key in fields)
        found[name] = tuple(fields[f"{name} {index}"] for index in range(count))
    space = HostSpace(**found)
    shapes = [block.shape for block in space.basis]
    columns = sum(width for _, width in shapes[:-1])
    same = {rows for rows, _ in shapes} == {len(space.basis[0])}
    if not same or shapes != [block.shape for block in space.image]:
        message = "blocks of different shapes"
        raise ValueError(message)
    if space.projected.shape != (columns, columns):
        message = "a projection of another shape than the blocks"
        raise ValueError(message)
    return space
