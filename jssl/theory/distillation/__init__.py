"""Self-distillation with a linear predictor: what is learned, in which order, what collapses.

    L = E|V W x - sg(T y)|^2 / 2,      W = W_L ... W_1,      t = learning rate x step

The target T y is the encoder itself under a stop-gradient ("jepa": JEPA; SimSiam at L = 1), an
exponential average of it (BYOL), or the target view itself ("mae": a masked autoencoder). Its
letters, and the words used here:

    x, y                 context, target    the two views, both in R^m
    S_x, S_yx, S_y       Moments            E[x x^T], E[y x^T], E[y y^T], `jssl.data.moments`
    B                    regression         S_yx S_x^{-1}, the regression of y on x
    lambda_i             covariance         q_i^T S_yx q_i, the covariance of the views along mode i
    rho_i                coefficient        lambda_i / q_i^T S_x q_i, the regression coefficient
    L                    depth              number of layers of the encoder, >= 1
    w, w_0               layer, start       one layer of a mode, and its value at time 0
    w^L                  encoder            the amplitude of a mode in the embedding
    eta                  decay              weight decay of every layer and of the predictor
    alpha                rate_ratio         learning rate of the predictor / that of the layers
    beta, tau            target_rate, momentum   of a target that is an exponential average

`modes` checked moments and their modes · `flow` the gradient flow of matrices · `times` when a
mode is learned · `ordering` in which order, and what the order depends on · `amplitudes` its curve
· `takeover` the instability of a learned mode · `end` end states · `decay` weight decay and
collapse · `predictor` learning rates and starts of the predictor · `passage` the time between two
points, without loss of digits · `isotropic` DirectPred and
IsoLoss · `averaged` an averaged target · `cosine` a normalised loss · `stability` the largest
learning rate · `prediction` from a stated problem.

Littwin et al. 2024, arXiv 2407.03475 (JEPA); Tian et al. 2021, arXiv 2102.06810 (DirectPred);
Halvagal et al. 2023, arXiv 2212.04858 (IsoLoss); Bao 2023, arXiv 2309.16109 (cosine). The formulas
are derived anew; docs/equations.md lists them by their marks D-1 to D-39.
"""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "amplitudes",
        "averaged",
        "cosine",
        "decay",
        "end",
        "flow",
        "isotropic",
        "modes",
        "objective",
        "ordering",
        "passage",
        "prediction",
        "predictor",
        "stability",
        "takeover",
        "times",
    ),
    members={
        "CosineModes": "cosine",
        "DecayedLevels": "decay",
        "EndState": "end",
        "EqualRates": "predictor",
        "OBJECTIVES": "objective",
        "Order": "ordering",
        "RegressionModes": "modes",
        "UnbalancedEnd": "predictor",
        "Weights": "flow",
        "amplitude": "amplitudes",
        "averaged_delay": "averaged",
        "averaged_tail_rate": "averaged",
        "averaged_time": "averaged",
        "balance": "flow",
        "check_moments": "modes",
        "collapse_threshold": "decay",
        "cosine_amplitudes": "cosine",
        "cosine_norm": "cosine",
        "cosine_velocity": "cosine",
        "critical_time": "times",
        "decayed_levels": "decay",
        "decayed_time": "decay",
        "descent_critical_time": "times",
        "direct_predictor_amplitude": "isotropic",
        "end_state": "end",
        "equal_rates": "predictor",
        "final_gram": "end",
        "held_predictor_growth": "averaged",
        "iso_loss_amplitude": "isotropic",
        "lingering_time": "decay",
        "normalised_time": "cosine",
        "optimal_predictor": "predictor",
        "order": "ordering",
        "predict": "prediction",
        "rate_without_stop_gradient": "isotropic",
        "regression_modes": "modes",
        "scalar_velocity": "times",
        "selected_subspace": "end",
        "slow_target_time": "averaged",
        "small_start_time": "times",
        "stable_learning_rate": "stability",
        "takeover_rates": "takeover",
        "target_rate": "averaged",
        "tie": "ordering",
        "unbalanced_end": "predictor",
        "unbalanced_time": "predictor",
        "unequal_decay_end": "predictor",
        "velocity": "flow",
    },
)
