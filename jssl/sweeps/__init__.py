"""Sweeps: seeds x widths x hyperparameters as few programs, sharded, resumable, labelled."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "arrays",
        "axes",
        "bases",
        "cluster",
        "compile_ahead",
        "costs",
        "grid",
        "growth",
        "opening",
        "padding",
        "plan",
        "preview",
        "programs",
        "run",
        "store",
        "study",
        "sweep",
        "workload",
    ),
    members={
        "Plan": "plan",
        "Preview": "preview",
        "StoreError": "store",
        "Study": "study",
        "Target": "study",
        "open_dataset": "store",
        "run_key": "programs",
        "run_study": "sweep",
        "shard_batch": "programs",
        "sweep_until": "sweep",
    },
)
