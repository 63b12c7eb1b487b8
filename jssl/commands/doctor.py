"""`jssl doctor`: devices, versions, precision, kernels and data sets of this machine."""

import jax
from rich.console import Console
from rich.table import Table

from jssl._compat import neural_tangents
from jssl.data import images
from jssl.precision import float64
from jssl.report.html import environment


def examine() -> int:
    """Print devices, versions, precision, kernels and data sets; return 0."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in environment().items():
        table.add_row(key, value)
    default = jax.numpy.result_type(float)  # an array would need a compiled program
    with float64():
        double = jax.numpy.result_type(float)
    precision = f"{default} by default; commands use {double} on the CPU where theory needs it"
    table.add_row("precision", precision)
    table.add_row("infinite-width kernels", "of dense networks: part of jssl")
    table.add_row("convolutional kernels", _convolutional())
    for name, place in images.available().items():
        missing = "not found; set JSSL_DATA to the folder that contains it"
        table.add_row(f"data: {name}", str(place) if place else missing)
    Console().print(table)
    return 0


def _convolutional() -> str:
    """Return one line on neural-tangents, which is tried where it is installed."""
    present, message = neural_tangents.installed()
    return neural_tangents.status()[1] if present else message
