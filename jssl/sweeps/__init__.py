"""Sweeps: seeds x widths x hyperparameters as few programs, sharded, resumable, labelled."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "arrays",
        "axes",
        "costs",
        "grid",
        "plan",
        "programs",
        "run",
        "store",
        "study",
        "sweep",
        "workload",
    ),
    members={
        "Plan": "plan",
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
