import html.parser
import json
import re

import numpy as np
import pytest

from jssl.errors import InputError
from jssl.figures import new_figure, thin_labels
from jssl.papers.claims import at_least, at_most, close
from jssl.papers.outcome import Outcome
from jssl.papers.report import write_report
from jssl.report.figure import Figure


def outcome(measured=1.0):
    figure, (ax,) = new_figure(1)
    ax.plot([0, 1], [0, 1])
    claims = (
        close("demo/a", "a < b & c", "eq. 1", 1.0, measured, 0.1),
        at_most("demo/b", "small", "eq. 2", 1.0, 0.5),
        at_least("demo/c", "large", "eq. 3", 1.0, 1.5),
    )
    return Outcome(
        claims, (Figure("f", "A line", "It rises.", figure),), {"n": np.int64(3)}, ("noted",)
    )


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


def test_the_page_fits_a_phone_and_the_dark(tmp_path):
    page, _ = write_report(tmp_path, {"demo": outcome()}, {})
    text = page.read_text()
    viewport = {"name": "viewport", "content": "width=device-width, initial-scale=1"}
    assert viewport in _Seen(text).every("meta")
    assert "prefers-color-scheme: dark" in text
    assert "@media (max-width: 40rem)" in text
    cells = [td for td in _Seen(text).every("td") if "data-label" in td]
    assert [td["data-label"] for td in cells[:4]] == [
        "predicted",
        "measured",
        "tolerance",
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


def test_a_failed_claim_is_named_in_the_page(tmp_path):
    page, data = write_report(tmp_path, {"demo": outcome(measured=2.0)}, {})
    assert "failed: demo/a" in page.read_text()
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
    with pytest.raises(InputError, match="choose a writable folder with --out"):
        write_report(tmp_path / "file" / "sub", {}, {})


@pytest.mark.parametrize(
    ("claim", "passed"),
    [
        (close("n", "s", "e", 1.0, 1.1, 0.1001), True),
        (close("n", "s", "e", 1.0, 0.8, 0.1), False),
        (at_most("n", "s", "e", 1.0, 1.0), True),
        (at_most("n", "s", "e", 1.0, 1.2, 0.1), False),
        (at_least("n", "s", "e", 1.0, 0.95, 0.1), True),
        (at_least("n", "s", "e", 1.0, float("inf")), False),
    ],
)
def test_verdicts(claim, passed):
    assert claim.passed is passed
