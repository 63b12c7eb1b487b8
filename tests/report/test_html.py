import base64
import html.parser
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from jssl.errors import InputError
from jssl.figures import new_figure, thin_labels
from jssl.papers.claims import at_least, at_most, close
from jssl.papers.outcome import Outcome, Part
from jssl.papers.report import write_report
from jssl.report.figure import Figure
from jssl.report.page import Page, write_page
from jssl.types import Rival

FAR, LOW = (Rival("far", 9.0),), (Rival("low", 0.0),)


def outcome(measured=1.0):
    figure, (ax,) = new_figure(1)
    ax.plot([0, 1], [0, 1])
    claims = (
        close("demo/a", "a < b & c", "eq. 1", 1.0, measured, 0.1, rivals=FAR),
        at_most("demo/b", "small", "eq. 2", 1.0, 0.5, rivals=FAR),
        at_least("demo/c", "large", "eq. 3", 1.0, 1.5, rivals=LOW),
    )
    part = Part(claims, (Figure("f", "A line", "It rises.", figure),), ("observed",))
    return Outcome({"a study": part}, {"n": np.int64(3)}, ("noted",))


def test_json_holds_every_claim_with_its_fields(tmp_path):
    _, data = write_report(tmp_path, {"demo": outcome()}, {"scale": "quick"})
    record = json.loads(data.read_text())
    fields = {"name", "statement", "source", "predicted", "measured", "tolerance", "passed"}
    assert len(record["claims"]) == 3
    assert all(fields <= set(claim) for claim in record["claims"])
    assert record["passed"] is True
    assert record["environment"]["jax"]


def test_the_page_is_self_contained_and_escaped(tmp_path):
    page, _ = write_report(tmp_path, {"demo": outcome()}, {"scale": "quick"})
    text = page.read_text()
    assert "a &lt; b &amp; c" in text
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    assert not re.search(r"https?:|url\(|@import|<script", text)
    assert 'alt="A line. It rises."' in text
    assert "3 of 3 claims hold" in text


class _Seen(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def every(self, name):
        return [attrs for tag, attrs in self.tags if tag == name]


def test_every_picture_has_a_text_and_every_link_a_target(tmp_path):
    page, _ = write_report(tmp_path, {"demo": outcome(), "more": outcome()}, {})
    seen = _Seen(page.read_text())
    assert [image["alt"] for image in seen.every("img")] == ["A line. It rises."] * 2
    ids = {attrs.get("id") for _, attrs in seen.tags}
    assert {link["href"] for link in seen.every("a")} == {"#demo", "#more"}
    assert {"demo", "more"} <= ids


def test_figures_come_before_the_claims_that_they_show(tmp_path):
    page, _ = write_report(tmp_path, {"demo": outcome()}, {})
    text = page.read_text()
    places = ["A study", "<figure", "a &lt; b &amp; c", "observed", "noted"]
    assert sorted(places, key=text.index) == places


@pytest.mark.parametrize(
    ("measured", "count", "opened"), [(1, 3, True), (1, 11, False), (2, 11, True)]
)
def test_a_long_table_of_claims_is_folded_unless_one_fails(tmp_path, measured, count, opened):
    claims = [
        close(f"demo/{k}", "one", "source", 1.0, measured, 0.1, rivals=FAR) for k in range(count)
    ]
    page, _ = write_report(tmp_path, {"demo": Outcome({"study": Part(claims, [])})}, {})
    (box,) = re.findall(r"<details class=\"box\"( open)?><summary><span", page.read_text())
    assert bool(box) is opened


def test_the_summary_lists_failed_claims_and_those_that_no_paper_makes(tmp_path):
    source = "Derived here; not in the paper"
    new = close("demo/new", "It is new.", source, 1.0, 1.0, 0.1, rivals=FAR)
    part = Part([*outcome(measured=2.0).claims, new], [])
    page, _ = write_report(tmp_path, {"demo": Outcome({"study": part})}, {})
    summary = page.read_text().partition("<nav")[0]
    assert "3 of 4 claims hold, 1 fails." in summary
    assert "Predicted 1, measured 2, tolerance 0.1" in summary
    assert 'href="#demo/a"' in summary
    assert "not in the papers:</strong> 1 of 1" in summary
    assert "It is new." in summary
    assert "small" not in summary


def test_a_page_opens_with_the_answer_and_the_first_figure(tmp_path):
    shown = [Figure(name, name, "d", new_figure(1)[0]) for name in ("first", "second")]
    rows = [{"a": k} for k in range(9)]
    page = Page("title", ("answer", "rest"), ("caveat",), shown, {"long": rows, "short": rows[:2]})
    text = write_page(page, tmp_path)[0].read_text().partition("<body>")[2]
    places = ["answer", "first", "rest", "second", "caveat", "long", "short"]
    assert sorted(places, key=text.index) == places
    assert re.findall(r"box\"( open)?><summary>(\w+) <", text) == [("", "long"), (" open", "short")]


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
MEASURE = """<body></body><script>
const frame = document.createElement("iframe");
frame.style = "width: 390px; height: 900px; border: 0";
frame.srcdoc = atob("%s");
frame.onload = () => { document.body.id = frame.contentDocument.documentElement.scrollWidth };
document.body.append(frame);
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_no_page_is_wider_than_a_phone(tmp_path):
    wide = Figure("f", "A wide figure", "d" * 90, new_figure(3)[0])
    rows = [{f"column {k}": "a long cell, " * 4 for k in range(9)}]
    page = Page(
        "title", ("answer " * 30,), ("caveat",), [wide], {"table": rows}, {"path": "x" * 99}
    )
    pages = [
        write_report(tmp_path / "claims", {"demo": outcome(2.0)}, {"command": "x" * 99})[0],
        write_page(page, tmp_path / "page")[0],
    ]
    for path in pages:
        frame = tmp_path / "frame.html"
        frame.write_text(MEASURE % base64.b64encode(path.read_bytes()).decode())
        command = [CHROMIUM, "--headless", "--no-sandbox", "--dump-dom", frame.as_uri()]
        found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert int(re.search(r'<body id="(\d+)"', found.stdout)[1]) <= 390


def test_the_page_fits_a_phone_and_the_dark(tmp_path):
    page, _ = write_report(tmp_path, {"demo": outcome()}, {})
    text = page.read_text()
    viewport = {"name": "viewport", "content": "width=device-width, initial-scale=1"}
    assert viewport in _Seen(text).every("meta")
    assert "prefers-color-scheme: dark" in text
    assert "@media (max-width: 40rem)" in text
    assert "@container (max-width: 44rem)" in text
    cells = [td for td in _Seen(text).every("td") if "data-label" in td]
    assert [td["data-label"] for td in cells[:5]] == [
        "predicted",
        "measured",
        "tolerance",
        "nearest rival",
        "verdict",
    ]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [((256, 4096), {"200", "500", "2000", "5000"}), ((1, 1e4), set()), ((3, 4), None)],
)
def test_labels_between_powers_of_ten_do_not_crowd(limits, expected):
    figure, (ax,) = new_figure(1)
    ax.set(xscale="log", xlim=limits)
    thin_labels(figure)
    figure.canvas.draw()
    seen = {label.get_text() for label in ax.xaxis.get_minorticklabels()} - {""}
    assert seen <= expected if expected is not None else len(seen) > 0


def test_powers_of_ten_are_plain_text_and_other_ticks_stay():
    figure, (ax,) = new_figure(1)
    ax.set(xscale="log", xlim=(1e-4, 1e2), yscale="symlog", ylim=(-1e3, 1e3))
    thin_labels(figure)
    figure.canvas.draw()
    major = ax.xaxis.get_major_formatter()
    assert [major(10.0**k, 0) for k in (-12, -3, 0, 2)] == ["10⁻¹²", "10⁻³", "10⁰", "10²"]
    assert ax.yaxis.get_major_formatter()(-100.0, 0) == "-10²"
    shown = {label.get_text() for axis in (ax.xaxis, ax.yaxis) for label in axis.get_ticklabels()}
    assert {"10⁻²", "10¹", "-10²"} <= shown
    assert major(3e-2, 0).startswith("$")  # between powers, the formatter of the axis decides


def test_margins_are_inches_around_the_axes_of_each_panel():
    _, axes = new_figure(3, 2, width=4, height=3, margins=(0.8, 0.2, 0.5, 0.3))
    for index, ax in enumerate(axes):
        row, column = divmod(index, 3)
        left, bottom, width, height = np.array(ax.get_position().bounds) * [12, 6, 12, 6]
        np.testing.assert_allclose([width, height], [3.0, 2.2], rtol=1e-6)
        np.testing.assert_allclose([left - 4 * column, bottom - 3 * (1 - row)], [0.8, 0.5])


@pytest.mark.parametrize(
    ("columns", "rows", "shape"), [(3, 1, (1, 3)), (5, 1, (2, 3)), (4, 3, (3, 4))]
)
def test_a_row_of_more_than_three_panels_is_wrapped(columns, rows, shape):
    figure, axes = new_figure(columns, rows)
    assert len(axes) == len(figure.axes) == columns * rows
    assert axes[0].get_subplotspec().get_gridspec().get_geometry() == shape


def test_a_failed_claim_is_named_in_the_page(tmp_path):
    page, data = write_report(tmp_path, {"demo": outcome(measured=2.0)}, {})
    assert "<strong>Failed:</strong></p>\n<ul><li>a &lt; b &amp; c" in page.read_text()
    assert json.loads(data.read_text())["passed"] is False


def test_a_value_that_is_not_finite_fails_and_stays_valid_json(tmp_path):
    _, data = write_report(tmp_path, {"demo": outcome(measured=float("nan"))}, {})
    record = json.loads(data.read_text())
    assert record["claims"][0]["measured"] is None
    assert record["claims"][0]["passed"] is False


def test_a_failure_while_writing_leaves_the_earlier_report(tmp_path, monkeypatch):
    page, data = write_report(tmp_path, {"demo": outcome()}, {})
    before = page.read_text(), data.read_text()
    monkeypatch.setattr("os.replace", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_report(tmp_path, {"demo": outcome(measured=9.0)}, {})
    assert (page.read_text(), data.read_text()) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_an_unwritable_folder_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"choose a writable folder \(--out\)"):
        write_report(tmp_path / "file" / "sub", {}, {})


@pytest.mark.parametrize(
    ("claim", "passed"),
    [
        (close("n", "s", "e", 1.0, 1.1, 0.1001, rivals=FAR), True),
        (close("n", "s", "e", 1.0, 0.8, 0.1, rivals=FAR), False),
        (at_most("n", "s", "e", 1.0, 1.0, rivals=FAR), True),
        (at_most("n", "s", "e", 1.0, 1.2, 0.1, rivals=FAR), False),
        (at_least("n", "s", "e", 1.0, 0.95, 0.1, rivals=LOW), True),
        (at_least("n", "s", "e", 1.0, float("inf"), rivals=LOW), False),
    ],
)
def test_verdicts(claim, passed):
    assert claim.passed is passed
