"""The deliberate errors of `benchmarks.mutants` fit the code as it is."""

from collections import Counter

import pytest

from benchmarks.mutants import MUTANTS, mutated, table
from jssl.papers import PAPERS, experiment

LEAST = 8


def test_every_paper_has_enough_mutants_with_names_of_their_own():
    counts = Counter(mutant.paper for mutant in MUTANTS)
    assert counts.keys() == PAPERS.keys()
    assert min(counts.values()) >= LEAST
    assert len({mutant.key for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.key)
def test_a_mutant_replaces_text_that_occurs_once_and_still_compiles(mutant):
    source = mutated(mutant)
    assert mutant.old not in source or mutant.old in mutant.new
    compile(source, mutant.file, "exec")


def test_the_studies_of_mutants_exist():
    studies = {paper: set(experiment(paper).studies) for paper in PAPERS}
    for mutant in MUTANTS:
        assert set(mutant.studies) <= studies[mutant.paper], mutant.key


def test_text_that_occurs_twice_is_refused():
    with pytest.raises(ValueError, match="times, not 1"):
        mutated(MUTANTS[0]._replace(old="\n"))


def test_a_mutant_that_no_claim_kills_is_shown():
    first, second = MUTANTS[:2]
    row = {"paper": first.paper, "error": first.what, "file": first.file, "claims": 2}
    rows = {
        first.key: row | {"killed": ["stepwise/a"], "stopped": False},
        second.key: row | {"killed": [], "stopped": False},
    }
    text = table(rows)
    assert "claims kill 1 of 2" in text
    assert text.count("**none**") == 1
