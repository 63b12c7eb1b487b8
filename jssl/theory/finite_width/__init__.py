r"""Training of networks of finite width: the leak between outputs, and the times that follow (F-1).

At infinite width the outputs of a network do not affect each other, and every dimension starts
from the small start (Simon et al. 2023, arXiv 2303.15438). At width n, the blocks of the tangent
kernel between two outputs are of order n^{-1/2}: while the first dimension is learned, it moves all
outputs, and later dimensions start from this leak.

`blocks` the tangent kernel of all outputs between a few modes, and the leak · `layers` this kernel
for dense layers · `flow` training with it · `stabilised` the integrator · `saturation` how the leak
limits the times · `noise` the floor from noise.
"""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=("blocks", "flow", "layers", "noise", "saturation", "stabilised"),
    members={
        "ModeFlow": "flow",
        "batch_slowdown": "noise",
        "effective_start": "noise",
        "embedding_loss": "flow",
        "layered_mode_kernel": "layers",
        "leak": "blocks",
        "leak_variance": "saturation",
        "leaked_noise": "noise",
        "leaked_times": "saturation",
        "linearised_loss": "flow",
        "make_stabilised": "stabilised",
        "mode_flow": "flow",
        "mode_kernel": "blocks",
        "quartic_loss": "flow",
    },
)
