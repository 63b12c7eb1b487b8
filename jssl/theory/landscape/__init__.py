"""The loss landscape of self-supervised learning: which dimensions survive, which collapse.

Ziyin, Lubana, Ueda, Tanaka, "What shapes the loss landscape of self-supervised learning?", ICLR
2023, arXiv 2210.00638, with derivations of our own. Symbols, names and meanings:

    d, m                 d, dim             dimensions of the data, outputs
    W (m, d)             weight             the linear encoder f(x) = W x
    A0 (d, d)            data_cov           covariance of the data before augmentation
    C (d, d)             augmentation_cov   covariance of additive augmentation
    B (d, d)             signal             the linear growth of W, of any sign
    Sigma (d, d)         covariance         in the quartic term
    c4                   quartic            L = -Tr[W (B - decay) W^T] + c4 Tr[(W Sigma W^T)^2]
    gamma                weight_decay       multiplies ||W||_F^2
    S, s_i               strength           Sigma^{-1/2} (B - decay) Sigma^{-1/2}, its eigenvalues
    M                    mask               modes that are nonzero at a stationary point
    kappa                kappa              weight of soft normalisation
    t                    times              learning rate x step

Modules: `calculator`, the landscape of a given loss; `result`, what it says; `dictionary`, from a
loss to B, Sigma and the quartic term; `bounded`, whether there is a minimum; `stationary`,
stationary points and Hessians; `thresholds`, where dimensions are lost; `gaussian`, exact InfoNCE
on Gaussian data; `flow`, gradient flow; `normalisation`, with and without a bias; `imbalance`,
classes of unequal size; `design`, an augmentation that removes given directions; `estimate`, B from
pairs of views; `bound`, a lower bound on any data; `pairing`, moments as weights of the two views;
`stability`, the largest learning rate; `minimiser`, minimisation from many starts; `covariances`,
checks of arguments.
"""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "bound",
        "bounded",
        "calculator",
        "covariances",
        "design",
        "dictionary",
        "estimate",
        "flow",
        "gaussian",
        "imbalance",
        "minimiser",
        "normalisation",
        "pairing",
        "result",
        "stability",
        "stationary",
        "thresholds",
    ),
    members={
        "BoundCheck": "bound",
        "CANDIDATES": "normalisation",
        "Estimate": "estimate",
        "Filled": "normalisation",
        "Form": "dictionary",
        "LOSSES": "dictionary",
        "Crosstalk": "stability",
        "Landscape": "result",
        "Minima": "result",
        "Minimum": "minimiser",
        "Modes": "stationary",
        "PLACEMENTS": "dictionary",
        "Pairing": "pairing",
        "SignalSpectrum": "estimate",
        "Thresholds": "thresholds",
        "Views": "dictionary",
        "aligned_squares": "flow",
        "augmentation_factor": "design",
        "augmentation_thresholds": "thresholds",
        "biased_minima": "normalisation",
        "biased_minimum": "normalisation",
        "check_bound": "bound",
        "class_covariance": "imbalance",
        "class_samples": "imbalance",
        "class_variances": "imbalance",
        "collapsing_augmentation": "design",
        "covariance_pairings": "pairing",
        "crosstalk": "stability",
        "decay_thresholds": "thresholds",
        "decouple": "stationary",
        "energy": "dictionary",
        "estimate_covariances": "estimate",
        "first_is_clean": "pairing",
        "form": "dictionary",
        "from_loss": "calculator",
        "from_moments": "calculator",
        "gaussian_amplitudes": "gaussian",
        "gaussian_info_nce": "gaussian",
        "gaussian_times": "gaussian",
        "general_form": "dictionary",
        "hard_normalised_loss": "normalisation",
        "hessian_spectrum": "stationary",
        "learned_curvature": "stability",
        "masks": "stationary",
        "minimise": "minimiser",
        "minimise_all": "minimiser",
        "minimum_mask": "stationary",
        "normalised_energy": "normalisation",
        "saddle_index": "stationary",
        "signal_pairing": "pairing",
        "signal_spectrum": "estimate",
        "soft_normalisation": "normalisation",
        "squared_amplitudes": "stationary",
        "stationary_gram": "stationary",
        "stationary_loss": "stationary",
        "stationary_weight": "stationary",
        "trajectory": "flow",
        "velocity": "flow",
        "views": "dictionary",
    },
)
