"""One deliberate error of `benchmarks.mutants`."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """One error, and the studies that could notice it.

    Attributes:
        paper: of the studies.
        studies: names, as in the plan of the paper.
        what: the error in words.
        file: relative to the repository.
        old: text that occurs once in the file.
        new: text that replaces it.
    """

    paper: str
    studies: tuple[str, ...]
    what: str
    file: str
    old: str
    new: str

    @property
    def key(self) -> str:
        """A name that no other mutant has."""
        return f"{self.paper}: {self.file}: {self.what}"
