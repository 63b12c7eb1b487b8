"""The claims of *Understanding representation learnability of nonlinear SSL* (Yang et al. 2023)."""

from jssl.experiments.learnability import known, laws, phases, variants
from jssl.experiments.learnability.judge import sizes
from jssl.experiments.outcome import Outcome, Settings

__all__ = ["run"]

STUDIES = (
    ("self-supervision and supervision", known.comparison),
    ("minima", laws.minima),
    ("view noise", laws.noise),
    ("samples", laws.sampling),
    ("duplicate rows", laws.duplicates),
    ("phase diagrams", phases.phases),
    ("activations", variants.activations),
    ("linear model", variants.linear),
)


def run(settings: Settings) -> Outcome:
    """Run every claim of the paper at a scale.

    Args:
        settings: scale, seed and progress.

    Returns:
        Outcome with claims, figures, settings and remarks.
    """
    claims, figures = [], []
    for index, (description, study) in enumerate(STUDIES):
        settings.progress(description, index / len(STUDIES))
        part = study(settings)
        claims += part.claims
        figures += part.figures
    found = known.base_certificate()
    remarks = (
        f"Certificate N-3 at tau = 7, alpha = 1/800: radius {found.radius:.3f} in the plane, "
        f"||H^-1|| = {found.inverse_norm:.1f} there and {found.inverse_norm_full:.0f} in all "
        f"dimensions; the view and sample noise is {'in' if found.noise_inside else 'out'}side, "
        f"n = 100 is {'in' if found.sampling_inside else 'out'}side "
        f"({found.samples_needed} samples would be inside).",
        "The duplicate-row law 2^(1-m) is the population's: a finite sample fills its cells "
        "unevenly, which tilts all rows the same way.",
    )
    return Outcome(
        tuple(claims),
        tuple(figures),
        {
            "seeds": sizes(settings).seeds,
            "steps": known.STEPS,
            "precision": "float32 runs",
        },
        remarks,
    )
