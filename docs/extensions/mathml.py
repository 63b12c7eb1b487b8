"""Mathematics as MathML, made at build time: no script, no font and no address from elsewhere."""

import re

from latex2mathml.converter import convert

_TILDE = re.compile(r"<mover>(<mi>[^<]*</mi>)<mo[^>]*>&#x0007E;</mo></mover>")
_SYMBOL = r"\{(?:[^{}]|\{[^{}]*\})*\}|\\[A-Za-z]+|[A-Za-z]"
_DOT = re.compile(rf"\\dot(?![A-Za-z])\s*({_SYMBOL})((?:\s*_(?:{_SYMBOL}|\d))?)")


def derivatives_as_fractions(latex, display="inline"):
    r"""Return LaTeX with `\dot W` written dW/dt.

    The dot above a letter is not drawn by browsers that have no mathematics font.
    """
    pattern = r"\frac{dX}{dt}" if display == "block" else "dX/dt"

    def fraction(match):
        symbol = match[1][1:-1] if match[1].startswith("{") else match[1]
        spaced = f" {symbol}{match[2]}"
        return pattern.replace("X", spaced)

    return _DOT.sub(fraction, latex)


def to_mathml(latex, display="inline"):
    """Return MathML; time derivatives are fractions, and tildes sit close to their letter."""
    return _TILDE.sub(
        r'<mover accent="true">\1<mo stretchy="false">&#x002DC;</mo></mover>',
        convert(derivatives_as_fractions(latex, display), display=display),
    )


def _inline(self, node):
    from docutils.nodes import SkipNode

    self.body.append(to_mathml(node.astext()))
    raise SkipNode


def _display(self, node):
    from docutils.nodes import SkipNode

    self.body.append(to_mathml(node.astext(), "block"))
    raise SkipNode


def setup(app):
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True}
