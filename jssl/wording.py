"""How numbers are written in sentences."""


def percent(share: float) -> str:
    """Return a share in percent that is 0% or 100% only where the share is 0 or 1.

    Example:
        >>> from jssl.wording import percent
        >>> print(percent(0.123), "|", percent(0.004), "|", percent(0.999), "|", percent(1.0))
        12% | less than 1% | more than 99% | 100%

    Args:
        share: from 0 to 1.
    """
    if 0 < share < 0.01:
        return "less than 1%"
    return "more than 99%" if 0.99 < share < 1 else f"{share:.0%}"
