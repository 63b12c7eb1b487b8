"""Where results go: memory, or a zarr store that plain xarray opens, written chunk by chunk.

    STORE/                 a zarr group: one array an observable, coordinates, attributes
    STORE/jssl/            a group of its own: the plan as attributes, and beside it
        checksums.json       of every file above and the plan, written when the store is made
        journal/CHUNK.json   written after a chunk's arrays: the checksum of every file it filled
        checkpoints/CHUNK    the state of a long chunk that is not finished
        kept/CHUNK.json      which runs of an unfinished chunk are there, in a store that grew
        making               in object storage, until the store is made

A chunk is finished when its journal entry is there and all checksums hold. Every file is written in
one step. A folder is made beside its place and renamed, so that a store always has its plan; in
object storage, which renames nothing, a store is one once its checksums are there.
`first_bad_step` is written last: where it says that a run was computed, the run's other values are
in the store. Processes that compute the same chunk write the same bytes.
"""

from jssl._lazy import attach

__getattr__, __dir__ = attach(  # a report reads a store without importing JAX
    __name__,
    modules=("checkpoints", "growing", "integrity", "making", "places", "results"),
    members={
        "INNER": "integrity",
        "Kept": "results",
        "Result": "results",
        "StoreError": "places",
        "check_whole": "integrity",
        "create": "making",
        "finished_names": "integrity",
        "import_xarray": "results",
        "in_memory": "results",
        "in_store": "results",
        "is_free": "making",
        "is_store": "making",
        "open_dataset": "making",
        "read_plan": "making",
    },
)
