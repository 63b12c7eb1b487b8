"""The checks of a random key."""

from typing import Any

from jssl.errors import InputError, shown


def require_key(key: Any, name: str = "key") -> Any:
    """Return one typed key, traced or not; whole numbers and old keys of uint32 are refused.

    Example:
        >>> require_key(0)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: key must be a typed key, as jax.random.key(0) gives; got 0

    Args:
        key: to be checked.
        name: what it is called in the message.

    Raises:
        InputError: for anything but one typed key; map a function over many keys with jax.vmap.
    """
    import jax

    dtype = getattr(key, "dtype", None)
    if dtype is None or not jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key):
        message = f"{name} must be a typed key, as jax.random.key(0) gives; got {shown(key)}"
        raise InputError(message)
    if key.shape:
        message = f"{name} must be one key; map over the {key.shape} keys with jax.vmap"
        raise InputError(message)
    return key


def require_threefry(key: Any, what: str = "draws") -> None:
    """Raise InputError unless the key is typed and threefry.

    Under vmap the numbers that a seed draws with `rbg` depend on the other seeds.

    Example:
        >>> import jax
        >>> require_threefry(jax.random.key(0, impl="rbg"))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: draws need a threefry key, as jax.random.key(0) gives; got rbg

    Args:
        key: one typed key, or many.
        what: what needs it, in the message.
    """
    import jax

    dtype = getattr(key, "dtype", None)
    if dtype is None or not jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key):
        message = f"{what} need a typed key, as jax.random.key(0) gives"
        raise InputError(message)
    name = str(jax.random.key_impl(key))
    if "threefry" not in name:
        message = f"{what} need a threefry key, as jax.random.key(0) gives; got {name}"
        raise InputError(message)
