"""The documentation: sphinx-build -W docs docs/_build/html."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

import jssl

project = "jssl"
version = release = jssl.__version__
copyright = "the authors of jssl"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml", "pages", "claims"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "jssl"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 2
nb_execution_mode = "off"
nb_ipywidgets_js = {}
default_role = "literal"
autodoc_typehints = "none"
napoleon_use_ivar = True
napoleon_attr_annotations = False
napoleon_use_rtype = False
python_maximum_signature_line_length = 80
