"""Image sets of the experiments."""

from jssl.data import images
from jssl.papers.outcome import Scale

LABELS = {
    "digits": "digits",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "stl10": "STL-10",
}
"""Name of an image set in `jssl.data.images` -> its name in text."""


def image_sets(scale: Scale) -> tuple[list[str], tuple[str, ...]]:
    """Return the image sets of a scale, and a sentence if Fashion-MNIST is not used.

    Example:
        >>> image_sets("quick")[0]
        ['digits']

    Digits are always used. Fashion-MNIST is used at `paper` and `large`, if it is on this machine.

    Args:
        scale: of the run.
    """
    available = images.find("fashion_mnist") is not None
    if available and scale != "quick":
        return ["digits", "fashion_mnist"], ()
    reason = (
        "Fashion-MNIST is used at scale paper"
        if available
        else "Fashion-MNIST was not found; set JSSL_DATA to its folder"
    )
    return ["digits"], (f"The images are digits. {reason}.",)
