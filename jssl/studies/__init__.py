"""Studies in TOML files: their keys, their checks, and problems given by names."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=("fields", "key_tables", "problem", "schema", "study_file"),
    members={
        "NamedProblem": "schema",
        "OPTIMISERS": "problem",
        "StudyFile": "schema",
        "named_problem": "problem",
        "read_study": "study_file",
    },
)
