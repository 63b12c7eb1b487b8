"""One-pass SGD of a nonlinear unit in high dimension, and contrastive losses with hard negatives.

Meng, Wang, arXiv 2406.06909 (abstract only), and Jiang, Nguyen, Aeron, Ishwar, arXiv 2311.05139.
The models here have the same ingredients; their formulas are derived anew. Letters, and the words
used here:

    x_i = s_i v + xi_i   a view: signal s_i along the unit vector v, and noise
    r                    correlation of the noises of two positive views
    w, u = w . x         weight of the unit, its input; its output is erf(u / sqrt 2)
    q = w . v            overlap
    R = |w|^2            square (of the norm); Q = q^2 / R is the share of the signal
    eta, kappa, lambda   learning_rate, negatives, decay
    t                    times: steps / d
    C, beta, T           classes, hardness, temperature of a contrastive loss

`settings` a stated problem · `unit` its mean drift · `gradients` the noise of a gradient ·
`trajectories` overlaps in time · `ending` where they settle · `fluctuations` about them in d
dimensions · `law` SGD, exactly in law, at a cost that does not depend on d · `features` which of
two features wins · `hard_negatives` bounds, minima and relaxation.
"""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "ending",
        "features",
        "fluctuations",
        "gradients",
        "hard_negatives",
        "law",
        "settings",
        "trajectories",
        "unit",
    ),
    members={
        "Chain": "law",
        "Law": "settings",
        "Overlaps": "trajectories",
        "OnePass": "settings",
        "chain": "law",
        "class_frame": "hard_negatives",
        "collision_share": "hard_negatives",
        "critical_hardness": "hard_negatives",
        "drift": "unit",
        "end_share": "ending",
        "escape_rate": "unit",
        "fluctuation": "fluctuations",
        "frame_loss": "hard_negatives",
        "gradient_noise": "unit",
        "independent": "settings",
        "learnable_signal": "unit",
        "mean_product": "unit",
        "rademacher": "settings",
        "relaxation_rate": "hard_negatives",
        "selection_angle": "features",
        "step_covariance": "fluctuations",
        "start_square": "unit",
        "supervised_bound": "hard_negatives",
        "three_points": "settings",
        "trajectory": "trajectories",
        "two_features": "features",
        "unsupervised_bound": "hard_negatives",
        "view_noise": "settings",
    },
)
