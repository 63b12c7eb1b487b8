"""The values of a comparison of encoders."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jssl.diagnosis.result import Diagnosis
from jssl.encoders.components import Overlap
from jssl.encoders.ranking import Ranking
from jssl.formulas.sphere import Measured


class Values(NamedTuple):
    """Encoders on the same rows. `print` shows the summary.

    Attributes:
        diagnoses: name -> its `Diagnosis`, with the spectrum over all rows.
        cka: (a, b) -> debiased CKA with its standard error over rows, for each pair of names.
        overlaps: (a, b) -> how far the leading components span one subspace.
        criterion: the label-free criterion of the ranking.
        ranking: its values, their errors, and how surely each encoder is first, in the order of
            `diagnoses`.
        summary: the results as sentences.
        caveats: limits of the results.
        settings: rows, rows compared, seed, criterion.
    """

    diagnoses: Mapping[str, Diagnosis]
    cka: Mapping[tuple[str, str], Measured]
    overlaps: Mapping[tuple[str, str], Overlap]
    criterion: str
    ranking: Ranking
    summary: tuple[str, ...]
    caveats: tuple[str, ...]
    settings: Mapping[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the encoders."""
        return tuple(self.diagnoses)

    @property
    def best(self) -> str:
        """Name of the encoder that the criterion ranks first."""
        return self.names[int(np.argmax(self.ranking.values))]

    def __str__(self) -> str:
        """Return the summary, one sentence per line."""
        return "\n".join(self.summary)
