"""The state of `jssl.kernels.leading_modes` in a file, with a digest of what it belongs to."""

import os
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.kernels import krylov
from jssl.paths import expanded


class Checkpoint:
    """A file that holds a Krylov space."""

    def __init__(self, path: str | os.PathLike[str], digest: str) -> None:
        """Name the file; nothing is read or written.

        Args:
            path: in a folder that exists.
            digest: of the work that the space belongs to.
        """
        self._path: Path = expanded(path)
        if not self._path.parent.is_dir():
            message = f"no folder {self._path.parent} for the checkpoint; create it first"
            raise InputError(message)
        self._digest = digest

    def read(self) -> krylov.Space | None:
        """Return the space, None where there is no file."""
        if not self._path.exists():
            return None
        try:
            with self._path.open("rb") as file, np.load(file) as held:
                digest = str(held["digest"])
                fields = {name: jnp.asarray(held[name]) for name in krylov.Space._fields}
        except (
            OSError,
            ValueError,
            KeyError,
            EOFError,
            TypeError,
            BadZipFile,
            zlib.error,
        ) as error:
            message = f"{self._path} is not a checkpoint of this function; delete it"
            raise InputError(message) from error
        if digest != self._digest:
            message = (
                f"{self._path} belongs to other pairs, another model, or another dim or width; "
                "delete it, or give another file"
            )
            raise InputError(message)
        return krylov.Space(**fields)

    def write(self, space: krylov.Space) -> None:
        """Put the space in the place of the one before, as a whole."""
        beside = self._path.with_name(self._path.name + ".part")
        held: dict[str, Any] = {name: np.asarray(part) for name, part in space._asdict().items()}
        with beside.open("wb") as file:
            np.savez(file, digest=self._digest, **held)
        os.replace(beside, self._path)
