"""A diagnosis and a forecast print, draw, write and log themselves."""

import json

import numpy as np
import pytest

import jssl

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(120, 4)) * np.array([2, 1, 1, 0.5])


@pytest.fixture(scope="module")
def diagnosis():
    return jssl.diagnose(Z, labels=(Z[:, 0] > 0).astype(int), views=Z + 0.1)


@pytest.fixture(scope="module")
def forecast():
    first = RNG.normal(size=(60, 5))
    return jssl.predict(
        (first, first + 0.1), loss="barlow_twins_linearized", dim=3, kernel="linear"
    )


@pytest.mark.parametrize("name", ["diagnosis", "forecast"])
def test_a_result_prints_its_summary_and_shows_it_with_a_figure_in_a_notebook(name, request):
    result = request.getfixturevalue(name)
    assert str(result) == "\n".join(result.summary)
    html = result._repr_html_()
    assert result.summary[0].split(":")[0].split("<")[0] in html
    assert "data:image/png;base64," in html
    assert "<html" not in html


@pytest.mark.parametrize("name", ["diagnosis", "forecast"])
def test_a_result_writes_its_page_once(name, request, tmp_path):
    result = request.getfixturevalue(name)
    page = result.write(tmp_path / "out")
    assert page == tmp_path / "out" / "report.html"
    data = json.loads((tmp_path / "out" / "report.json").read_text())
    assert data["summary"] == list(result.summary)
    with pytest.raises(jssl.InputError, match="already contains a report"):
        result.write(tmp_path / "out")
    assert result.write(tmp_path / "out", overwrite=True) == page


@pytest.mark.parametrize("name", ["diagnosis", "forecast"])
def test_the_metrics_of_a_result_are_flat_plain_numbers(name, request):
    metrics = request.getfixturevalue(name).metrics()
    assert len(metrics) > 5
    assert all(type(value) is float for value in metrics.values())
    assert all(key == key.lower() and " " not in key for key in metrics)


def test_the_metrics_of_a_diagnosis_are_its_values_and_errors(diagnosis):
    metrics = diagnosis.metrics()
    assert metrics["rankme"] == diagnosis.metrics["RankMe"].value
    assert metrics["uniformity_error"] == diagnosis.metrics["uniformity"].error
    assert "rankme_error" not in metrics
    assert sum(key.endswith("_error") for key in metrics) == sum(
        np.isfinite(metric.error) for metric in diagnosis.metrics.values()
    )


def test_the_metrics_of_a_forecast_are_its_values(forecast):
    metrics = forecast.metrics()
    learned = forecast.steps[np.isfinite(forecast.steps)]
    assert metrics["learned"] == len(learned)
    assert [metrics[f"step_{j + 1}"] for j in range(len(learned))] == learned.tolist()
    assert metrics["learning_rate"] == forecast.learning_rate


def test_a_diagnosis_draws_its_spectrum_or_its_history(diagnosis):
    assert diagnosis.plot().axes[0].get_ylabel() == "variance (eigenvalue)"
    followed = jssl.diagnose(Z, checkpoints=[Z * 0.1, Z * 0.5, Z])
    assert any("CKA" in ax.get_ylabel() for ax in followed.plot().axes)
