"""Every statement of a claim is one plain sentence that stands alone."""

import ast
import importlib
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from jssl.papers import PAPERS, Settings
from jssl.papers.deep import agreement, staircases
from jssl.papers.stepwise import kernel, networks
from jssl.papers.width import drift, features, limits

MOST_WORDS = 25
CLAIMS = {"close", "at_most", "at_least", "same_mean", "same_share", "same_distribution"}
CHECKED_PAPERS = tuple(PAPERS)

DEPENDENT_OPENINGS = ("the same", "and", "those", "these", "that", "this", "it", "its", "there")
"""A sentence that opens so refers to another claim."""

FORBIDDEN = (
    "bears",
    "come to rest",
    "comes to rest",
    "for want of",
    "half there",
    "knows",
    "laid beside",
    "made up",
    "nobody",
    "told",
    "travels",
    "wants",
    "worth",
)
"""Metaphors and archaisms that occurred in statements."""


def statement_faults(statement):
    """Return what is wrong with a statement, one line for each fault."""
    text = statement.strip()
    lower = text.lower()
    faults = []
    if len(text.split()) > MOST_WORDS:
        faults.append(f"{len(text.split())} words, more than {MOST_WORDS}")
    if not text.endswith("."):
        faults.append("no full stop")
    if re.search(r"[.?!]\s+[A-Z]", text):
        faults.append("more than one sentence")
    if text[:1] != text[:1].upper():
        faults.append("lower-case first letter")
    faults += [
        f"begins with {opening!r}"
        for opening in DEPENDENT_OPENINGS
        if re.match(rf"{opening}\b", lower)
    ]
    faults += [f"contains {phrase!r}" for phrase in FORBIDDEN if re.search(rf"\b{phrase}\b", lower)]
    if re.search(r"\b[ISL]-\d", text):
        faults.append("contains the mark of an equation")
    if re.search(r"(?<!\d)\.\d", text):
        faults.append("contains a decimal without its leading zero")
    return faults


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        pytest.param(
            "The loss " + 25 * "is " + "small.", "28 words, more than 25", id="too many words"
        ),
        ("The loss is small", "no full stop"),
        ("The loss is small. It falls.", "more than one sentence"),
        ("the loss is small.", "lower-case first letter"),
        ("The same loss is small.", "begins with 'the same'"),
        ("Those losses are small.", "begins with 'those'"),
        ("The kernel comes to rest.", "contains 'comes to rest'"),
        ("The loss follows S-8.", "contains the mark of an equation"),
        ("The loss is below .1 of its start.", "contains a decimal without its leading zero"),
    ],
)
def test_every_fault_of_a_statement_is_found(statement, fault):
    assert statement_faults(statement) == [fault]


def test_a_plain_sentence_has_no_fault():
    assert statement_faults("At a rate of 0.95/(4 gamma_1), the loss decreases.") == []


def literals(node):
    """Return the texts that an expression may have; every value of an f-string is one word."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
        return ["".join(parts)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [a + b for a in literals(node.left) for b in literals(node.right)]
    if isinstance(node, ast.IfExp):
        return [*literals(node.body), *literals(node.orelse)]
    return []


def calls_in(tree):
    """Return (line, statements, details) for each call that makes a claim."""
    calls = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id in CLAIMS:
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            statement = node.args[1] if len(node.args) > 1 else named["statement"]
            details = literals(named["details"]) if "details" in named else []
            calls.append((node.lineno, literals(statement), details))
    return calls


def test_statements_and_details_are_found_in_source():
    first = 'close("a/b", f"The {name} is " "small.", "s", 0, 0, 0, details="Small.")'
    calls = calls_in(ast.parse(first + '; at_most("a/b", text, "s", 0, 0)'))
    assert calls == [(1, ["The X is small."], ["Small."]), (1, [], [])]


@pytest.mark.parametrize("paper", CHECKED_PAPERS)
def test_statements_in_the_source_of_a_paper_are_plain_sentences(paper):
    folder = Path(importlib.import_module(PAPERS[paper]).__file__).parent
    faults = []
    for file in sorted(folder.rglob("*.py")):
        for line, statements, details in calls_in(ast.parse(file.read_text(encoding="utf-8"))):
            faults += [
                f"{file.name}:{line}: {fault}: {statement}"
                for statement in statements
                for fault in statement_faults(statement)
            ]
            faults += [
                f"{file.name}:{line}: not a sentence: {text}"
                for text in details
                if not (text[:1].isupper() and text.endswith((".", "X")))
            ]
            if not statements:
                faults.append(f"{file.name}:{line}: the statement is not a literal")
    assert faults == []


RIVALS = 7
"""Place of the rivals among the arguments of `close`, `at_most` and `at_least`."""


@pytest.mark.parametrize("paper", CHECKED_PAPERS)
def test_every_claim_of_a_paper_names_rivals(paper):
    folder = Path(importlib.import_module(PAPERS[paper]).__file__).parent
    missing = []
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                named = any(keyword.arg == "rivals" for keyword in node.keywords)
                if node.func.id in CLAIMS and not named and len(node.args) <= RIVALS:
                    missing.append(f"{file.name}:{node.lineno}")
    assert missing == []


# Claims whose words are filled in by a study are made here from invented results.


def stepwise_networks():
    names = [
        *networks.SMALL_START,
        "MLP, SimCLR from parallel embeddings",
        "MLP, SimCLR from small outputs",
        "MLP, Barlow Twins, standard initialisation",
    ]
    steps = dict.fromkeys(names, SimpleNamespace(distinct=4))
    values = dict.fromkeys(names, np.array([[0.1, 0.01], [1.0, 0.5]]))
    claims = networks._step_claims(networks._runs(), values)
    return claims + networks._start_claims(steps, values)


def stepwise_width():
    errors = kernel.WidthErrors((4, 8, 16), VALUES, VALUES[0], VALUES[0], 0.01, 0.5)
    return kernel._width_claims(errors, VALUES[0])


def width_drift():
    cases = {
        case._replace(widths=(64, 256, 1024))
        for scale in ("quick", "paper", "large")
        for case in drift.cases(Settings(scale))
    }
    diverged = np.full((3, 4), np.nan)
    return [drift._claim(case, values) for case in cases for values in (VALUES, diverged)]


def width_limits():
    study = limits.Study(
        "an MLP with 1 hidden tanh layer on Fashion-MNIST",
        (8, 16, 32),
        dict.fromkeys(limits.QUANTITIES, VALUES),
        VALUES[0],
        VALUES[0],
        0.1,
        VALUES,
        VALUES,
        VALUES[0],
    )
    return limits._claims("MLP-1-tanh-fashion_mnist", study)


def width_features():
    return features._claims(features.Measurements((8, 16, 32), VALUES, VALUES, VALUES))


def deep():
    values = np.array([[0.1, 0.01, 0.0], [0.6, 0.1, 0.01], [1.0, 1.0, 1.0]])
    run = staircases.Staircase(SimpleNamespace(distinct=3), values, values + 1)
    small = dict.fromkeys(staircases.LOSSES, run)
    agreements = dict.fromkeys(((a, b) for a in agreement.NAMES for b in agreement.NAMES), 0.5)
    phrase, short = "a ResNet with group norm on CIFAR-10", "resnet"
    return [
        staircases._step_claim(phrase, short, small),
        staircases._still_claim(phrase, short, small),
        staircases._standard_start_claim(phrase, short, small, small),
        staircases._hidden_step_claim(phrase, short, dict.fromkeys(small, 1)),
        *agreement._chance_claims(phrase, short, agreements, 100, (0.1, 0.02)),
        agreement._growth_claim(phrase, short, agreements, 0.02),
    ]


VALUES = np.random.default_rng(0).uniform(1, 2, (3, 4))
FILLED = (stepwise_networks, stepwise_width, width_drift, width_limits, width_features, deep)


@pytest.mark.parametrize("claims", FILLED)
def test_filled_statements_are_plain_sentences_with_details(claims):
    for claim in claims():
        assert statement_faults(claim.statement) == [], claim.statement
        assert claim.details.endswith("."), claim.name
        assert claim.details[0].isupper(), claim.name
        assert "  " not in claim.statement + claim.details, claim.name
