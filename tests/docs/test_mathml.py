"""Equations of the site are MathML that browsers draw without a mathematics font."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).parents[2] / "docs"
DOTS = ("\u02d9", "\u0307", "\u22c5", ".")


@pytest.fixture(scope="module")
def mathml():
    sys.path.insert(0, str(DOCS / "extensions"))
    try:
        import mathml
    finally:
        sys.path.pop(0)
    return mathml


def _text(markup):
    return "".join(ElementTree.fromstring(markup).itertext()).replace(" ", "")


@pytest.mark.parametrize(
    ("latex", "written"),
    [
        (r"\dot W = -4W", "dW/dt=\u22124W"),
        (r"\dot{W} = 0", "dW/dt=0"),
        (r"\dot x_{ij} = 1", "dxij/dt=1"),
        (r"\dot\gamma + \dot{\mathbf{w}}", "d\u03b3/dt+d\U0001d430/dt"),
    ],
)
def test_a_time_derivative_in_a_line_is_written_as_a_quotient(mathml, latex, written):
    assert _text(mathml.to_mathml(latex)) == written


def test_a_time_derivative_in_a_displayed_equation_is_a_fraction(mathml):
    root = ElementTree.fromstring(mathml.to_mathml(r"\dot W = -4W", "block"))
    fraction = next(part for part in root.iter() if part.tag.endswith("mfrac"))
    assert ["".join(part.itertext()) for part in fraction] == ["dW", "dt"]


def test_other_commands_are_not_taken_for_derivatives(mathml):
    latex = r"a \cdot b, \dots, \ddot x"
    assert mathml.derivatives_as_fractions(latex) == latex


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda path: path.stem)
def test_no_equation_of_a_page_has_an_accent_that_needs_a_font(mathml, page):
    if "_build" in page.parts:
        return
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for block, inline in re.findall(r"\$\$(.+?)\$\$|\$([^$]+?)\$", text, re.DOTALL):
        markup = mathml.to_mathml(block or inline, "block" if block else "inline")
        for over in ElementTree.fromstring(markup).iter("{*}mover"):
            assert "".join(over[1].itertext()).strip() not in DOTS, block or inline
