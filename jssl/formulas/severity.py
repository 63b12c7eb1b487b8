"""Which kinds of collapse are at least as severe as the one that was asked for."""

SEVERITIES = {"collapse": ("complete",), "dimensional": ("dimensional", "complete")}
"""What a user can ask for -> the kinds of `jssl.diagnostics.KINDS` that are at least as severe."""


def is_severe(kind: str, asked: str | None) -> bool:
    """Return whether a kind of collapse is at least as severe as asked for; never for None.

    Example:
        >>> is_severe("complete", "dimensional"), is_severe("dimensional", "collapse")
        (True, False)
    """
    return asked is not None and kind in SEVERITIES[asked]
