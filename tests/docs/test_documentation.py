"""The documentation's examples run as they stand, and its tables are those of the report."""

import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from jssl import diagnose, diagnostics, losses, papers
from jssl.commands.reproduce import reproduce
from jssl.data.views import VIEWS
from jssl.forecast.rules import RULES

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```python\n# (\w+)\.py\n(.*?)```", re.DOTALL)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The files of docs/extending.md, importable; registries are put back afterwards."""
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    files = dict(BLOCK.findall(page))
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(losses.registry, "LOSSES", losses.registry.LOSSES | {})
    monkeypatch.setattr(papers, "PAPERS", papers.PAPERS | {})
    return files


def test_the_study_that_the_page_adds_is_found_run_and_judged(study, tmp_path):
    assert list(study) == ["pull_loss", "pull_theory", "pull_study", "register"]
    importlib.import_module("register")
    assert reproduce(["pull"], "quick", tmp_path / "out", seed=0) == 0
    claims = json.loads((tmp_path / "out" / "report.json").read_text())["claims"]
    assert [claim["name"] for claim in claims] == ["pull/closed-form"]
    assert losses.get("pull", weight=2.0)(np.ones((3, 2)), np.zeros((3, 2))) == 4.0


def test_the_study_of_the_page_can_fail(study, tmp_path):
    theory = tmp_path / "pull_theory.py"
    wrong = theory.read_text().replace("jnp.exp(-4 *", "jnp.exp(-2 *")
    assert wrong != theory.read_text()
    theory.write_text(wrong)
    importlib.import_module("register")
    assert reproduce(["pull"], "quick", tmp_path / "out", seed=0) == 1


def _claims_script():
    spec = importlib.util.spec_from_file_location("docs_claims", ROOT / "docs" / "claims.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_papers_of_the_readme_are_those_of_the_committed_report():
    assert _claims_script().main(["--check"]) == 0


def test_another_report_changes_the_readme():
    script = _claims_script()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    report = json.loads(script.REPORT.read_text(encoding="utf-8"))
    report["claims"][0]["passed"] = False
    paper = report["claims"][0]["name"].split("/")[0]
    count = sum(claim["name"].startswith(f"{paper}/") for claim in report["claims"])
    changed = script.renewed(readme, report)
    held = len(report["claims"]) - 1
    assert f"**{held} of {len(report['claims'])} claims hold**" in changed
    assert f"| {count - 1} of {count} |" in changed


def test_the_committed_report_names_no_machine_and_every_paper_has_a_page():
    script = _claims_script()
    report = json.loads(script.REPORT.read_text(encoding="utf-8"))
    assert set(report) == set(script.KEPT)
    assert "/" not in json.dumps(report["settings"])
    pages = {path.stem for path in (ROOT / "docs" / "papers").glob("*.md")}
    assert set(report["papers"]) <= pages


def test_the_readme_is_at_most_ten_kilobytes():
    assert (ROOT / "README.md").stat().st_size <= 10_000


def test_the_two_commands_of_the_readme_are_there_as_people_copy_them():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in ("jssl reproduce", "pytest"):
        assert f"\n    python -m pip install uv && python -m uv run {command} " in readme


def test_the_layout_of_the_readme_is_the_tree():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.partition("    jssl/\n")[2].partition("    benchmarks/")[0]
    named = set(re.findall(r"(?<![\w.])_?\w+(?:/|\.py)", block))
    files = {"plan.py", "store/", "ranks.py", "docs/", "verdict_sentences.py"}
    files |= {"summary.py", "linear_summary.py", "caveats.py", "rules.py"}
    package = ROOT / "jssl"
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    modules = {path.name for path in package.glob("*.py") if not path.name.startswith("__")}
    assert named - files == folders | modules
    for place in (
        "forecast/summary.py",
        "forecast/linear_summary.py",
        "forecast/caveats.py",
        "forecast/rules.py",
        "diagnosis/summary.py",
        "diagnosis/verdict_sentences.py",
        "sweeps/plan.py",
        "sweeps/store/__init__.py",
        "formulas/ranks.py",
        "../docs/extending.md",
    ):
        assert (package / place).exists()


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *(ROOT / "docs").glob("*/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_relative_link_of_a_page_leads_to_a_file(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)#\s]+)", text):
        if not link.startswith(("http", "api/", "../api/")):
            target = page.parent / link
            copied = ROOT / "notebooks" / target.name  # the site has a copy of the notebooks
            assert target.exists() or (target.suffix == ".ipynb" and copied.exists()), link


def test_every_page_is_in_the_table_of_contents():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = [path.relative_to(ROOT / "docs").with_suffix("") for path in PAGES[1:]]
    listed = set(index.splitlines())
    assert {str(page) for page in pages} - {"index"} <= listed


def test_the_first_example_of_getting_started_draws_its_picture(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert (tmp_path / "first.png").stat().st_size > 10_000


def test_the_first_picture_comes_within_one_screen():
    page = (ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")
    assert page.partition("![")[0].count("\n") <= 30


def test_every_loss_command_and_diagnostic_is_on_the_pages_that_list_them():
    choosing = (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8")
    metrics = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert not [name for name in losses.LOSSES if f"`{name}`" not in choosing]
    commands = ("reproduce", "predict", "diagnose", "compare", "sweep", "report", "doctor")
    assert not [name for name in commands if f"`jssl {name}" not in choosing]
    functions = [name for name in diagnostics.__all__ if name.islower()]
    assert not [name for name in functions if f"`{name}" not in metrics]


def test_every_metric_that_diagnose_gives_has_a_section():
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").lower()
    draws = np.random.default_rng(0)
    z, noise = draws.normal(size=(2, 80, 3))
    diagnosis = diagnose(z, labels=(z[:, 0] > 0).astype(int), views=z + 0.1 * noise)
    names = [re.sub(r"^\d+-| \(.*?\)", "", name).lower() for name in diagnosis.metrics]
    assert len(names) >= 9
    assert not [name for name in names if name not in page]


def test_the_questions_are_at_least_fifteen():
    page = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")
    questions = re.findall(r"^### (.*)", page, re.MULTILINE)
    assert len(questions) >= 15
    assert all(question.endswith("?") for question in questions)


def test_the_help_of_predict_lists_every_loss_and_view():
    text = " ".join((ROOT / "jssl" / "commands" / "arguments.py").read_text().split())
    loss = re.search(r'"""Loss: (.*?)\. (.*?)"""', text)
    assert loss[2] == "For linear encoders also jepa and lejepa."
    listed = loss[1].replace("\\ ", "").split(", ")
    assert {losses.registry.ALIASES.get(name, name) for name in listed} == set(RULES)
    listed = re.search(r"one or more of (.*?)\.", text)[1].replace("\\ ", "").split(", ")
    assert listed.pop() == "or simclr for its usual recipe; by default crop,noise"
    assert {*listed, "simclr"} == set(VIEWS)


@pytest.mark.float32
def test_the_jepa_of_the_questions_runs_as_it_stands():
    page = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")
    (code,) = (b for b in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "jepa" in b)
    names = {}
    exec(code.replace("[0, 100, 200]", "[0, 2]"), names)
    assert np.isfinite(names["trajectory"].observables["loss"]).all()
