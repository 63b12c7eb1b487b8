"""Sweeps: seeds x widths x hyperparameters as few programs, sharded, resumable, labelled."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "adaptive",
        "axes",
        "command",
        "cost",
        "devices",
        "execute",
        "fits",
        "measure",
        "meeting",
        "plan",
        "prepare",
        "programs",
        "records",
        "report",
        "report_command",
        "resume",
        "store",
        "study",
        "sweep",
        "tiles",
    ),
    members={
        "Plan": "plan",
        "Progress": "execute",
        "StoreError": "store",
        "open_dataset": "store",
        "run_key": "programs",
        "shard_batch": "programs",
        "sweep_until": "adaptive",
        "use_all_cores": "devices",
        "write_sweep_report": "report",
    },
)
