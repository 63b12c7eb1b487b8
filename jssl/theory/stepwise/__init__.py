"""Stepwise learning: an encoder from a small start learns one dimension at a time.

Simon, Knutins, Ziyin, Geisz, Fetterman, Albrecht, ICML 2023, arXiv 2303.15438. Symbols, names
and meanings:

    n, d, m              n, dim, m          pairs, embedding dimension, features of a sample
    X, X' (n, m)         first, second      the two views
    W (d, m)             weight             the linear encoder f(x) = W x
    Gamma (m, m)         cross_moment       (1/2n) sum_i (x_i x'_i^T + x'_i x_i^T)
    gamma_j              eigenvalues        its eigenvalues, descending, of any sign
    Gamma^(<=d)          eigenvectors       its top eigenvectors as rows
    C (d, d)             c                  W Gamma W^T, the cross moment of the embeddings
    U (d, d)             rotation           embedding direction of each mode
    s_j(t), s_j(0)       scales             singular values of W along the modes
    lambda_j(t)          mode_eigenvalues   gamma_j s_j(t)^2, eigenvalues of C
    tau_j                critical_time      when mode j is learned
    t                    t, times           learning rate x step
    alpha                start_scale        scale of a generic small start
    K~ (2n, 2n)          gram               kernel of all 2n views
    k(x, Z) (q, 2n)      cross              kernel of q points with them
    K_Gamma              contrastive kernel; its modes come from `jssl.kernels.contrastive`
    lambda               off_diagonal       weight of the off-diagonal terms of Barlow Twins

Modules: `linear`, the exact solution; `times`, when each mode is learned; `generic`, generic
starts; `close`, equal and close eigenvalues, and `many_starts` the same for many starts on the
host; `landscape`, critical points, Hessian and stability; `kernel`, any model with a kernel, at
unseen points; `prediction`, the solution for a `Problem`; `suggestion`, settings to run. Not in the
paper: `momentum`, `redundancy` (off-diagonal weight below 1), `decayed` (the same with weight decay
and any number of outputs), `vicreg`, `spectral`, `infonce`.
"""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "close",
        "decayed",
        "generic",
        "infonce",
        "kernel",
        "landscape",
        "linear",
        "many_starts",
        "momentum",
        "prediction",
        "redundancy",
        "spectral",
        "suggestion",
        "times",
        "vicreg",
    ),
    members={
        "Alignment": "generic",
        "CriticalPoints": "landscape",
        "Criticality": "landscape",
        "EffectiveModes": "close",
        "ErrorEstimate": "generic",
        "IdentifiabilityWarning": "generic",
        "LossStep": "times",
        "Levels": "decayed",
        "ModeTimes": "decayed",
        "Modes": "linear",
        "Moments": "vicreg",
        "Plateau": "redundancy",
        "RedundancyStaircase": "redundancy",
        "Setting": "prediction",
        "Suggestion": "suggestion",
        "VicregFinal": "vicreg",
        "VicregGrowth": "vicreg",
        "Whitening": "spectral",
        "adapt_coefficients": "kernel",
        "adapt_modes": "close",
        "align": "generic",
        "align_embedding": "kernel",
        "assess": "prediction",
        "centred_moments": "vicreg",
        "critical_points": "landscape",
        "critical_time": "times",
        "criticality": "landscape",
        "decayed_levels": "decayed",
        "descent_delay": "times",
        "descent_half_time": "times",
        "effective_modes": "close",
        "effective_modes_of_starts": "many_starts",
        "embedding": "kernel",
        "error_estimate": "generic",
        "explain": "generic",
        "final_scales": "linear",
        "final_weight": "linear",
        "half_time": "times",
        "hessian_spectrum": "landscape",
        "infonce_expansion": "infonce",
        "infonce_growth": "infonce",
        "loss": "linear",
        "loss_staircase": "linear",
        "loss_step_time": "times",
        "minimum_norm": "landscape",
        "mode_eigenvalues": "linear",
        "mode_times": "decayed",
        "modes": "linear",
        "momentum_growth": "momentum",
        "outside_span": "kernel",
        "plateau": "redundancy",
        "predict": "prediction",
        "qr_alignment": "generic",
        "read": "prediction",
        "redundancy_staircase": "redundancy",
        "rise_time": "times",
        "saturation": "spectral",
        "scales": "linear",
        "sharpness": "landscape",
        "spectral_factor": "spectral",
        "spectral_gram": "spectral",
        "spectral_loss": "spectral",
        "stability_threshold": "landscape",
        "suggest": "suggestion",
        "tie_rotation": "close",
        "trajectory": "prediction",
        "velocity": "linear",
        "vicreg_final": "vicreg",
        "vicreg_growth": "vicreg",
        "vicreg_matrix": "vicreg",
        "vicreg_scales": "vicreg",
        "weight": "linear",
        "whiten": "spectral",
    },
)
