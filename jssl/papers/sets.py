"""Which image sets an experiment runs on."""

from jssl.data import images
from jssl.papers.outcome import Scale


def image_sets(scale: Scale) -> tuple[list[str], tuple[str, ...]]:
    """Return the sets of a scale, and a remark where Fashion-MNIST is not among them.

    Example:
        >>> image_sets("quick")[0]
        ['digits']

    Digits always; Fashion-MNIST from `paper` on, where it is on this machine.

    Args:
        scale: of the run.
    """
    found = images.find("fashion_mnist") is not None
    if found and scale != "quick":
        return ["digits", "fashion_mnist"], ()
    where = "runs at scale paper" if found else "was not found: set JSSL_DATA to its folder"
    return ["digits"], (f"Digits were run; Fashion-MNIST {where}.",)
