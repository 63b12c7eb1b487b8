import inspect
import math
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from jssl import losses, models
from jssl.errors import InputError
from jssl.losses.registry import LOSSES
from jssl.studies.key_tables import keys_of, markdown
from jssl.studies.problem import OPTIMISERS, named_problem, options_of
from jssl.studies.schema import NamedProblem, StudyFile
from jssl.sweeps.study import Layout, Study, Target, Until
from jssl.sweeps.sweep import sweep
from jssl.value_checks import allowed, check_value

TABLES = (StudyFile, Layout, Until, NamedProblem)
FIELDS = [(table, field) for table in TABLES for field in msgspec.structs.fields(table)]
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "sweeps.md"
NAMED = {
    name: p.default
    for name, p in inspect.signature(named_problem).parameters.items()
    if p.kind is inspect.Parameter.KEYWORD_ONLY and name != "max_width"
}


def fields(table):
    return {field.name: field for field in msgspec.structs.fields(table)}


@pytest.mark.parametrize(("table", "field"), FIELDS, ids=lambda x: getattr(x, "name", "table"))
def test_every_key_refuses_values_of_another_type(table, field):
    words = allowed(field.type)
    wrong = [object(), math.nan, 1j, b"x"]
    wrong += [] if "list" in words else [[], [1]]
    wrong += [] if "table" in words else [{}, {"a": 1}]
    wrong += [] if "string" in words or '"' in words else ["1", ""]
    wrong += [] if "true or false" in words else [True, False]
    wrong += [] if "number" in words else [0, 1, 1.5]
    wrong += [0.5, 1.0] if "whole number" in words else []
    wrong += [math.inf, -math.inf, -1] if "number above 0" in words else []
    for value in wrong:
        with pytest.raises(InputError, match="must be") as caught:
            check_value(field.type, value, field.name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("table", TABLES)
def test_every_key_has_a_meaning_and_says_what_it_may_hold(table):
    for key in keys_of(table):
        assert key.meaning[0].islower() or key.meaning[0] in '"AV'
        assert not key.meaning.endswith(".")
        assert key.allowed


def test_defaults_of_the_schema_are_those_of_the_program():
    parameters = inspect.signature(sweep).parameters
    shared = fields(StudyFile)
    for name in ("seed", "parallel"):
        assert shared[name].default == parameters[name].default
    assert fields(Layout)["chunk_seconds"].default == Study._field_defaults["chunk_seconds"]
    for name, default in Target._field_defaults.items():
        given = fields(Until)[name]
        assert (
            (default or None) == ((given.default_factory or dict)() or None)
            if (name == "select")
            else default == given.default
        )


def test_the_schema_has_every_option_of_every_model_loss_and_optimiser_and_no_other():
    names = {n for name in (*models.MODELS, *LOSSES, *OPTIMISERS) for n in options_of(name)}
    assert {*fields(NamedProblem)} == {*NAMED, *names} - {"max_width"}


@pytest.mark.parametrize("name", [*models.MODELS, *LOSSES, *OPTIMISERS])
def test_the_default_of_every_option_is_one_that_its_key_may_hold(name):
    factories = {**models.MODELS, "resnet": models.resnet_with_stages, **OPTIMISERS}
    factory = factories[name] if name in factories else losses.get(name)
    for option in options_of(name):
        default = inspect.signature(factory).parameters[option].default
        if option != "max_width" and default is not None:
            check_value(fields(NamedProblem)[option].type, default, option)


def test_the_defaults_of_a_named_problem_are_ones_that_its_keys_may_hold():
    for name, default in NAMED.items():
        if default is not None:
            check_value(fields(NamedProblem)[name].type, default, name)


@pytest.mark.parametrize("table", TABLES)
def test_the_guide_lists_every_key_as_the_schema_describes_it(table):
    defaults = NAMED if table is NamedProblem else None
    assert markdown(keys_of(table, defaults)) in GUIDE.read_text(encoding="utf-8")


def test_a_json_schema_of_a_study_can_be_made():
    made = msgspec.json.schema(StudyFile)["$defs"]["StudyFile"]
    assert made["required"] == ["store"]
    assert made["properties"]["seed"]["maximum"] == 2**32 - 1
    assert set(get_args(inspect.get_annotations(StudyFile)["precision"])[0].__args__) == {
        "float32",
        "float64",
    }
