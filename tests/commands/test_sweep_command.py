"""`jssl sweep --shard` and `--devices`, `jssl report` on stores that were altered."""

import json

import pytest

import jssl
from jssl.commands import main as cli
from jssl.commands import sweep as command
from jssl.devices import use_all_cores
from jssl.errors import InputError

STUDY = """
store = "{store}"
record = [0, 1]
precision = "float64"
[problem]
data = "digits"
samples = 10
model = "linear"
dim = 2
loss = "vicreg"
[axes]
learning_rate = [0.01, 0.02]
seed = 5
[layout]
seed_block = 1
chunk_seconds = 1e-9
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "use_all_cores", lambda devices: devices or 1)  # JAX has started
    (tmp_path / "study.toml").write_text(STUDY.format(store=tmp_path / "store"))
    return str(tmp_path / "study.toml")


def test_a_shard_says_what_the_store_still_lacks(study, tmp_path, capsys):
    # Ten runs in five chunks, a seed of both points each: shards of 2, 2 and 1 chunks.
    assert cli.run(["sweep", study, "--shard", "1/3"]) == 0
    said = capsys.readouterr().out
    line = (
        "store: shard 1/3 finished, 2 of 5 chunks are stored; missing: 2 (4 runs) of shard 0/3, "
        f"1 (2 runs) of shard 2/3; run `jssl sweep {study} --shard i/3` unless it is running"
    )
    assert line in said
    assert cli.run(["sweep", study, "--shard", "2/3"]) == 0
    assert "missing: 2 (4 runs) of shard 0/3; run `jssl sweep" in (
        capsys.readouterr().out.replace(study, "study.toml")
    )
    assert cli.run(["sweep", study, "--shard", "0/3"]) == 0
    assert (
        f"5 of 5 chunks are stored; see `jssl report {tmp_path}/store`" in capsys.readouterr().out
    )


def test_a_shard_among_very_many_says_so_at_once(study, capsys):
    assert cli.run(["sweep", study, "--shard", "999999999/1000000000"]) == 0
    assert "0 of 5 chunks are stored" in capsys.readouterr().out


def test_the_report_of_an_unfinished_store_says_what_is_missing(study, tmp_path, capsys):
    store, out = str(tmp_path / "store"), tmp_path / "out"
    assert cli.run(["sweep", study, "--shard", "1/3"]) == 0  # seeds 1 and 4
    assert cli.run(["report", store, "--out", str(out)]) == 0
    line = "4 of 10 runs; 6 runs at 2 of 2 points are missing; rerun the sweep to compute them"
    assert line in capsys.readouterr().out
    missing = json.loads((out / "report.json").read_text())["missing"]
    assert missing == [
        {"learning_rate": rate, "missing seeds": "0, 2 to 3"} for rate in ("0.01", "0.02")
    ]
    assert "Missing runs" in (out / "report.html").read_text()


def test_a_store_that_is_watched_is_drawn_again_until_it_is_finished(
    study, tmp_path, monkeypatch, capsys
):
    store, out = str(tmp_path / "store"), tmp_path / "out"
    assert cli.run(["sweep", study, "--shard", "1/3"]) == 0
    left = iter([lambda: None, *(lambda i=i: cli.run(["sweep", study, "--shard", i])
                                 for i in ("0/3", "2/3"))])  # fmt: skip
    monkeypatch.setattr("jssl.commands.report.time.sleep", lambda seconds: next(left)())
    assert cli.run(["report", store, "--out", str(out), "--watch"]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "report.json" in line]
    assert [line.split("report.json, ")[1][:5] for line in said] == ["4 of ", "8 of ", "10 of"]
    assert json.loads((out / "report.json").read_text())["missing"] == []


def test_more_devices_than_cores_are_said_in_a_line(study, monkeypatch, capsys):
    monkeypatch.setattr(command, "cores", lambda: 2)
    assert cli.run(["sweep", study, "--plan", "--devices", "2"]) == 0
    assert capsys.readouterr().err == ""
    assert cli.run(["sweep", study, "--plan", "--devices", "3"]) == 0
    assert (
        capsys.readouterr().err == "jssl: 3 devices share 2 cores; one device per core is fastest\n"
    )


@pytest.mark.parametrize("devices", [0, 1025, 100_000, 10**12])
def test_a_number_of_devices_out_of_range_is_refused_before_any_is_made(
    study, capsys, monkeypatch, devices
):
    def made(*_):
        pytest.fail("JAX was asked for devices")

    monkeypatch.setattr("jax.config.update", made)
    monkeypatch.setattr(command, "use_all_cores", use_all_cores)
    with pytest.raises(InputError, match=f"devices must be .*; got {devices:,}"):
        use_all_cores(devices)
    assert cli.run(["sweep", study, "--devices", str(devices)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.fixture
def finished(tmp_path):
    from jssl.studies import read_study

    (tmp_path / "s.toml").write_text(STUDY.format(store=tmp_path / "store"))
    asked = read_study(tmp_path / "s.toml")
    jssl.sweep(asked.make_problem, asked.axes, record_steps=[0, 1], store=tmp_path / "store")
    return tmp_path / "store"


def altered(**changes):
    return lambda text: json.dumps(json.loads(text) | changes)


@pytest.mark.parametrize(
    "place", ["zarr.json", "jssl/zarr.json", "loss/zarr.json", "first_bad_step/zarr.json"]
)
@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "{",
        lambda text: "[1, 2]",
        lambda text: text[: len(text) // 2],
        altered(zarr_format=7),
        altered(node_type="other"),
    ],
    ids=["empty", "brace", "list", "cut", "format", "node"],
)
def test_the_report_of_a_store_with_an_altered_zarr_json_is_one_line(
    finished, tmp_path, capsys, place, change
):
    file = finished / place
    file.write_text(change(file.read_text()))
    assert cli.run(["report", str(finished), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("jssl: ")
    assert str(finished) in line
    assert not (tmp_path / "out").exists()


def test_the_report_of_a_store_that_lost_an_array_or_may_not_be_read_is_one_line(
    finished, tmp_path, capsys, monkeypatch
):
    held = (finished / "t" / "zarr.json").read_text()
    (finished / "t" / "zarr.json").unlink()
    assert cli.run(["report", str(finished), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    (finished / "t" / "zarr.json").write_text(held)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(finished))

    monkeypatch.setattr("jssl.sweeps.store.making.is_store", refuse)
    assert cli.run(["report", str(finished), "--out", str(tmp_path / "out")]) == 2
    assert "(permission denied); check its permissions" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
