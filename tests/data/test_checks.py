import pytest

from jssl.data.checks import require_count, require_range
from jssl.errors import InputError


@pytest.mark.parametrize("check", [require_count, require_range])
def test_a_number_too_long_for_python_to_write_is_refused_in_one_line(check):
    with pytest.raises(InputError, match=r"got a number of 5,00\d digits"):
        check("size", 10**5001, 0, 9)
