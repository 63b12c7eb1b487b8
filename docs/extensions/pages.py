"""Pages made before the build: the API from the packages' public lists, notebooks from theirs.

Docstrings are written to be read in a terminal: plain text, `code` in single backticks, equations
indented or between $$. `restructure` turns them into reStructuredText.
"""

import importlib
import inspect
import json
import pkgutil
import re
from pathlib import Path

import jssl.theory

DOCS = Path(__file__).parents[1]
LISTED = {
    "studies",
    "sweeps",
    "papers",
    "forecast",
    "diagnosis",
    "encoders",
    "monitor",
    "report",
}
"""Packages of which only the public list is documented; of the others all that has an example."""
UNLISTED = {"commands", "theory", "_compat", "_lazy"}
SECTION = re.compile(
    r"(Args|Arguments|Attributes|Example|Examples|Raises|Returns|Warns|References|Note):$"
)


def public(module):
    """Return the public functions and classes that a module defines, in the order of its file."""
    own = [
        (name, value)
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or callable(value))
        and getattr(value, "__module__", "") == module.__name__
    ]
    return dict(own)


def entry(path, value):
    """Return the directive that documents one object."""
    if not inspect.isclass(value):
        return f".. autofunction:: {path}\n"
    own = [n for n, v in vars(value).items() if inspect.isfunction(v) and not n.startswith("_")]
    fields = {*getattr(value, "_fields", ()), "_make", "_asdict", "_replace"}
    methods = [n for n in own if n not in fields]
    members = f"   :members: {', '.join(methods)}\n" if methods else ""
    return f".. autoclass:: {path}\n{members}"


def heading(text, mark):
    """Return a title."""
    return f"{text}\n{mark * len(text)}\n"


def exported_from(package, folder):
    """Return the members of a package's public list that one of its subpackages defines."""
    members = {n: getattr(package, n) for n in sorted(dir(package)) if not n.startswith("_")}
    start = f"{package.__name__}.{folder}."
    return {
        n: v for n, v in members.items() if f"{getattr(v, '__module__', '')}.".startswith(start)
    }


def package_page(name, *, whole):
    """Return the page of a package: its docstring, then every file with what it defines."""
    package = importlib.import_module(name)
    exported = set(dir(package))
    parts = [heading(name, "="), f".. automodule:: {name}\n   :no-index:\n"]
    for info in pkgutil.iter_modules(package.__path__):
        file = info.name
        module = importlib.import_module(f"{name}.{file}")
        if info.ispkg:
            found = exported_from(package, file)
        else:
            found = {
                n: v
                for n, v in public(module).items()
                if n in exported or (whole and "Example:" in (v.__doc__ or ""))
            }
        if not found:
            continue
        described = f".. automodule:: {module.__name__}\n   :no-index:\n" if whole else ""
        parts += [heading(file, "-"), described]
        for n, v in found.items():
            listed = n in exported and getattr(package, n) is v
            parts.append(entry(f"{name}.{n}" if listed else f"{name}.{file}.{n}", v))
    return "\n".join(parts)


def module_page(name):
    """Return the page of a module."""
    module = importlib.import_module(name)
    entries = [entry(f"{name}.{n}", v) for n, v in public(module).items()]
    described = f".. automodule:: {name}\n   :no-index:\n"
    return "\n".join([heading(name, "="), described, *entries])


def write(app):
    """Write the API pages and copy the notebooks; unchanged files are left alone."""
    pages = {}
    for parent in (jssl, jssl.theory):
        for info in pkgutil.iter_modules(parent.__path__):
            name = f"{parent.__name__}.{info.name}"
            if info.name in UNLISTED:
                continue
            if info.ispkg:
                pages[name] = package_page(name, whole=info.name not in LISTED)
            else:
                pages[name] = module_page(name)
    listing = "\n".join(f"   {name}" for name in sorted(pages))
    pages["index"] = f"{heading('API', '=')}\n.. toctree::\n   :maxdepth: 1\n\n{listing}\n"
    folder = DOCS / "api"
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.rst"):
        if path.stem not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    copies = DOCS / "notebooks"
    copies.mkdir(exist_ok=True)
    for source in sorted((DOCS.parent / "notebooks").glob("*.ipynb")):
        notebook = json.loads(source.read_text(encoding="utf-8"))
        notebook["metadata"]["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
        (copies / source.name).write_text(json.dumps(notebook), encoding="utf-8")


def restructure(app, what, name, obj, options, lines):
    """Turn a docstring into reStructuredText, in place."""
    text, out = list(lines), []
    module = what == "module"
    section = doctest = formula = literal = False
    for line in text:
        bare = line.strip()
        if bare.startswith(">>>"):
            doctest = True
        if doctest:
            doctest = bool(bare)
            out.append(line)
            continue
        if formula or bare.startswith("$$"):
            indent = line[: len(line) - len(line.lstrip())]
            if not formula:
                out += ["", indent + ".. math::", ""]
            inner = bare.removeprefix("$$") if not formula else bare
            formula = not inner.endswith("$$")
            out.append(f"{indent}   {inner.removesuffix('$$').strip()}")
            if not formula:
                out.append("")
            continue
        if SECTION.match(line):
            section = True
        elif bare and not line.startswith(" "):
            section = False
        verbatim = bool(bare) and line.startswith("    ") and not section
        if verbatim and not literal and (not out or not out[-1].strip()):
            out += [".. code-block:: text", ""]
            literal = True
        if literal and bare and not line.startswith("    "):
            literal = False
            if out[-1].strip():
                out.append("")
        if literal:
            out.append(line)
            continue
        if bare.startswith("- ") and out and out[-1].strip() and not _item(out[-1]):
            out.append("")
        out.append(line if SECTION.match(line) else _escape(line))
    lines[:] = out
    if module and lines[-1:] != [""]:
        lines.append("")


def _item(line):
    return line.lstrip().startswith("- ") or line.startswith("  ")


def _escape(line):
    parts = line.split("`")
    if len(parts) % 2 == 0:
        return _plain(line)
    plain = [_plain(part) if k % 2 == 0 else f"``{part}``" for k, part in enumerate(parts)]
    return "".join(plain)


def _plain(text):
    text = (
        re.sub(r"(?<!^)([*|\\])", r"\\\1", text)
        if text[:1] not in "*|\\"
        else re.sub(r"([*|\\])", r"\\\1", text)
    )
    return re.sub(r"(\w)_(?=\W|$)", r"\1\\_", text)


def setup(app):
    """Connect both."""
    app.connect("builder-inited", write)
    app.connect("autodoc-process-docstring", restructure, priority=400)
    return {"parallel_read_safe": True}
