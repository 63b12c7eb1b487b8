"""Isotropic regularisers: what SIGReg, BHEP and LeJEPA do to the spectrum of an embedding.

Balestriero, LeCun, "LeJEPA", arXiv 2511.08544, and the follow-up on learning dynamics in isotropic
regularisers by BHEP statistics (abstract only). The formulas are derived anew and marked I-1, I-2,
... as in the list of equations. Letters, and the words used here:

    N                batch, samples    size of a batch
    K                dim               dimension of the embedding
    b                width             variance of the weight of frequencies; 1 in LeJEPA
    S, s_j           eigenvalues       covariance of the embedding and its eigenvalues
    Sigma, q_j       variances         covariance of a view
    C, c_j           noises            covariance of what differs between the views
    n_j = c_j / q_j  noise_shares
    lambda           strength          L = tr(W C W^T) + lambda R(S)
    t                times             learning rate x step

R(S) is in the unit of a normal weight: one slice is the mean over t ~ N(0, b) of
|phi(t) - exp(-t^2/2)|^2. The loss `jssl.losses.sigreg` is N sqrt(2 pi) times R.

`arguments` what is given, checked · `directions` means over directions · `regularisers` R and its
slopes · `samples` the same for a finite batch · `dynamics` eigenvalues in time · `encoder` the flow
of a weight · `plateaus` overshoot and late rates · `ending` what is kept and what is lost ·
`target` curvature there, and the weight of LeJEPA · `identifiability` of Ornstein-Uhlenbeck pairs.
"""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "arguments",
        "directions",
        "dynamics",
        "encoder",
        "ending",
        "identifiability",
        "plateaus",
        "regularisers",
        "samples",
        "target",
    ),
    members={
        "Curvature": "target",
        "EndState": "ending",
        "Parts": "regularisers",
        "SlowGrowth": "plateaus",
        "convex_below": "ending",
        "curvature": "target",
        "effective_weight": "target",
        "end_state": "ending",
        "estimate_error": "identifiability",
        "expected_value": "samples",
        "floor": "samples",
        "grid_value": "samples",
        "growth_rates": "dynamics",
        "half_times": "dynamics",
        "late_rates": "plateaus",
        "lost_modes": "ending",
        "MapStatistics": "identifiability",
        "map_statistics": "identifiability",
        "mean_inverse_root": "directions",
        "nearest_rotation_bound": "identifiability",
        "null_variance": "samples",
        "parts": "regularisers",
        "plateau": "plateaus",
        "pooled_views_value": "samples",
        "shrunk_variance": "samples",
        "slice_value": "samples",
        "slope": "regularisers",
        "slow_growth": "plateaus",
        "strength_that_keeps": "ending",
        "swap_rate": "ending",
        "trajectory": "dynamics",
        "truncated_value": "samples",
        "usual_width": "arguments",
        "value": "regularisers",
        "velocity": "encoder",
        "whitened_eigenvalues": "identifiability",
    },
)
