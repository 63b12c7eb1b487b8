"""Self-contained HTML pages: templates, figures, numbers, and the versions they depend on."""

import base64
import importlib.metadata
import io
import math
import os
import platform
import sys
from pathlib import Path
from typing import Any, NamedTuple


def environment() -> dict[str, str]:
    """Return the versions and devices that a result depends on.

    Example:
        >>> print("jax" in environment())
        True
    """
    import jssl

    return {
        "jssl": jssl.__version__,
        **{name: _version(name) for name in ("jax", "jaxlib", "optax", "numpy")},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "devices": _devices(),
        "cores": str(os.cpu_count()),
    }


def _version(package: str) -> str:
    """Return the version of a package; without importing the package."""
    if package in sys.modules:
        return str(sys.modules[package].__version__)
    return importlib.metadata.version(package)


def _devices() -> str:
    """Return the devices of JAX; a command that has not imported JAX used none of them."""
    if "jax" not in sys.modules:
        return "none: computed with NumPy on the CPU"
    import jax

    devices = jax.devices()
    return f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})"


def number(value: float | None) -> str:
    """Return a number with four significant digits.

    Example:
        >>> print(number(0.123456), number(1e-7), number(-0.0), number(float("nan")))
        0.1235 1e-07 0 not finite
    """
    if value is None or not math.isfinite(value):
        return "not finite"
    return f"{value:z.4g}"


def render(template: str, **values: Any) -> str:
    """Return the page that a template of this folder gives with these values."""
    import jinja2  # imported here, as matplotlib is in `draw`: the versions need neither

    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    engine.filters["number"] = number
    engine.filters["draw"] = draw
    engine.filters["address"] = address
    return engine.get_template(template).render(**values).lstrip()


class Drawn(NamedTuple):
    """A figure as a picture.

    Attributes:
        png: the picture.
        inches: its width.
    """

    png: bytes
    inches: float


def draw(figure: Any) -> Drawn:
    """Return a matplotlib figure as a picture; a picture is returned unchanged."""
    if isinstance(figure, Drawn):
        return figure
    from jssl.figures import thin_labels

    thin_labels(figure)
    buffer = io.BytesIO()
    figure.set_dpi(140)
    figure.canvas.print_png(buffer)  # unlike savefig, it draws once
    return Drawn(buffer.getvalue(), figure.get_figwidth())


def address(png: bytes) -> str:
    """Return a picture as a data URL."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
