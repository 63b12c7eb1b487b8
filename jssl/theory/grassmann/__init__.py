"""Learning dynamics under orthogonality: flows on the Grassmannian.

Esser, Mukherjee, Ghoshdastidar, "Representation learning dynamics of self-supervised models", 2023,
arXiv 2309.02011. Symbols, names and meanings:

    d, z                 d, dim             features of a sample, embedding dimension
    x_i, x_i^+, x_i^-    first, second, negative of `Pairs`, each (n, d)
    W (d, z)             weight             the linear encoder f(x) = W^T x
    C (d, d)             objective          L = Tr(W^T C W)
    F (z, N)             outputs            any f on the sample of N = 2n or 3n points
    M (N, N)             pairing            L = Tr(F M F^T)
    Phi (h, N), K        kernel             K = Phi^T Phi of frozen features
    P (d, d)             projector          W W^T
    l_1 <= l_2 ...       eigenvalues        of C, ascending
    t                    time               learning rate x step on L; the paper's is twice it

Modules: `objective`, the matrices; `naive`, the collapse without a constraint; `constrained`, the
exact flow with W^T W = I; `rates`, how fast it approaches the optimum; `full_rank`, the flow from
any start and for frozen features; `prediction`, the flow for a `Problem`.
"""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=("constrained", "full_rank", "naive", "objective", "prediction", "rates"),
    members={
        "Setting": "prediction",
        "Tilt": "constrained",
        "collapse_rate": "naive",
        "convergence_rate": "rates",
        "depth_multiplier": "rates",
        "excess_loss": "constrained",
        "flow_tilt": "constrained",
        "frozen_gram": "full_rank",
        "graph": "constrained",
        "kernel_objective": "objective",
        "kernel_root": "objective",
        "naive_outputs": "naive",
        "naive_weight": "naive",
        "objective_matrix": "objective",
        "optimal_loss": "rates",
        "optimum_angles": "constrained",
        "outer_product": "full_rank",
        "pairing_matrix": "objective",
        "predict": "prediction",
        "projector": "constrained",
        "read": "prediction",
        "stable_learning_rate": "rates",
        "stack_views": "objective",
        "subspace": "constrained",
        "supervised_outputs": "full_rank",
        "tilt": "constrained",
        "trajectory": "prediction",
        "velocity": "constrained",
    },
)
