import pickle

import pytest

from jssl.errors import InputError, shown, unknown_name


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\x1b[31mb", "a\0b", "a\u2028b", "a\x85b"])
def test_a_message_is_one_line_without_control_characters_whatever_it_quotes(text):
    for error in (InputError(text), unknown_name("key", text, ["b"]), InputError(shown(text))):
        (line,) = str(error).splitlines()
        assert line.isprintable()


def test_long_values_and_messages_are_shortened():
    assert len(shown("x" * 10**6)) == 80
    assert len(str(InputError("x" * 10**6))) == 2000


def test_a_number_too_long_for_python_to_write_is_shown_by_its_size():
    assert shown(-(2**100_000)) == "a number of 30,103 digits"
    assert shown([2**100_000]) == "a list"


def test_known_names_may_be_of_any_type():
    assert "known: 1, b" in str(unknown_name("key", "a", [1, "b"]))


def test_errors_pass_between_processes_unchanged():
    error = pickle.loads(pickle.dumps(InputError("say\nso")))
    assert str(error) == "say\\nso"
