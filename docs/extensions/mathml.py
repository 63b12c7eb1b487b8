"""Mathematics as MathML, made at build time: no script, no font and no address from elsewhere."""

import re

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

_ACCENT = re.compile(r"<mover>(<mi>[^<]*</mi>)<mo[^>]*>&#x00(2D9|07E);</mo></mover>")


def to_mathml(latex, display="inline"):
    """Return MathML; dots and tildes sit close to their letter."""
    marks = {"2D9": "&#x002D9;", "07E": "&#x002DC;"}
    return _ACCENT.sub(
        lambda m: f'<mover accent="true">{m[1]}<mo stretchy="false">{marks[m[2]]}</mo></mover>',
        convert(latex, display=display),
    )


def _inline(self, node):
    self.body.append(to_mathml(node.astext()))
    raise SkipNode


def _display(self, node):
    self.body.append(to_mathml(node.astext(), "block"))
    raise SkipNode


def setup(app):
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True}
