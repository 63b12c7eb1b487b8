"""Stores in object storage: in memory, and on a real S3 server that fails in every way it can."""

import random
import threading

import numpy as np
import pytest
import s3fs
import xarray as xr
from sweep_problems import linear_problem

import jssl
from jssl.commands import main as cli
from jssl.errors import InputError
from jssl.sweeps import StoreError, open_dataset, store
from jssl.sweeps.store import growing, places

pytestmark = [
    # aiobotocore leaves its connections to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]
STEPS = [0, 2, 10]
AXES = {"learning_rate": [0.01, 0.02, 0.03], "seed": 4}
PIECES = {"seed_block": 1, "chunk_seconds": 1e-9}


class Killed(BaseException):
    """What a process dies of in these tests; no handler catches it."""


class Server:
    """moto's S3 server, and what it does with requests: `answer(environ)` gives True for a 503."""

    def __init__(self):
        from moto.server import DomainDispatcherApplication, create_backend_app

        self.real = DomainDispatcherApplication(create_backend_app)
        self.answer = lambda environ: False
        self.port = 0
        self.start()

    def __call__(self, environ, start_response):
        """Answer a request."""
        if self.answer(environ):
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]
        return self.real(environ, start_response)

    def start(self):
        """Listen, at the same port as before."""
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Silent(WSGIRequestHandler):
            def log(self, *_):
                """Log nothing."""

        self.server = make_server(
            "127.0.0.1", self.port, self, threaded=True, request_handler=Silent
        )
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        """Listen no more; what was put stays."""
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def running():
    made = Server()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_MAX_ATTEMPTS", "4")
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.port}")
        s3fs.S3FileSystem.clear_instance_cache()
        # moto keeps buckets for the whole process, in which this fixture may be set up again
        s3fs.S3FileSystem(use_listings_cache=False).makedirs("bucket", exist_ok=True)
        yield made
    made.stop()


@pytest.fixture
def server(running):
    running.answer = lambda environ: False
    yield running
    running.answer = lambda environ: False


@pytest.fixture(scope="module")
def whole():
    """The result of a run in memory, in float64."""
    with jssl.precision.float64():
        return make(None).load()


@pytest.fixture
def url(server, request):
    return f"s3://bucket/{abs(hash(request.node.name))}"


def make(place, axes=AXES, **options):
    given = {"record_steps": STEPS, "store": place, **PIECES, **options}
    return jssl.sweep(linear_problem, axes, **given)


def same(found, whole):
    for name in whole.data_vars:
        np.testing.assert_array_equal(found[name].values, whole[name].values, err_msg=name)
    return True


def content(url):
    folder = places.place_of(url)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in places.files_below(folder)}


def test_a_store_in_memory_is_a_store(whole):
    made = make("memory://study/a")
    assert same(made, whole)
    assert same(xr.open_zarr("memory://study/a", chunks=None), whole)
    assert len(store.finished_names("memory://study/a")) == 4


def test_a_store_on_s3_is_resumed_checked_and_opened_by_plain_xarray(url, whole):
    make(url, shard=(0, 2))
    assert len(store.finished_names(url)) == 2
    seen = []
    assert same(make(url, progress=seen.append), whole)
    assert seen[0].done == 6
    assert same(xr.open_zarr(url, chunks=None, storage_options={}), whole)
    assert not any("making" in name for name in content(url))
    object_ = places.place_of(url) / "eigenvalues/c/0/2/0/0"
    data = bytearray(object_.read_bytes())
    data[len(data) // 2] ^= 1
    object_.write_bytes(bytes(data))
    with pytest.raises(InputError, match="1 of 4 chunks"):
        store.check_whole(url)
    make(url, progress=seen.append)
    assert same(open_dataset(url), whole)
    store.check_whole(url)
    metadata = places.place_of(url) / "loss/zarr.json"
    metadata.write_bytes(metadata.read_bytes() + b" ")
    with pytest.raises(InputError, match=r"is damaged: loss/zarr.json was altered"):
        make(url)


def test_a_process_killed_at_any_write_to_s3_leaves_a_store_that_goes_on(
    server, whole, monkeypatch
):
    from zarr.storage import FsspecStore

    choose = random.Random(0)
    real, put = FsspecStore.set, places.write_file
    for attempt, last in enumerate(choose.sample(range(1, 34), 6)):
        place, count = f"s3://bucket/killed-{attempt}", 0

        def dies(last=last):
            nonlocal count
            count += 1
            if count == last:
                raise Killed

        async def dying(self, *arguments, dies=dies, **keywords):
            dies()
            await real(self, *arguments, **keywords)

        def dying_put(*arguments, dies=dies):
            dies()
            put(*arguments)

        monkeypatch.setattr(FsspecStore, "set", dying)
        monkeypatch.setattr("jssl.sweeps.store.integrity.write_file", dying_put)
        with pytest.raises(Killed):
            make(place)
        monkeypatch.setattr(FsspecStore, "set", real)
        monkeypatch.setattr("jssl.sweeps.store.integrity.write_file", put)
        assert same(make(place), whole)
        assert len(store.finished_names(place)) == 4


def test_a_server_that_is_busy_at_times_is_asked_again(server, url, whole):
    choose, busy = random.Random(1), []

    def answer(environ):
        busy.append(choose.random() < 0.05)
        return busy[-1]

    server.answer = answer
    assert same(make(url), whole)
    assert any(busy)


@pytest.mark.parametrize("failure", ["503", "stop"])
def test_a_server_that_fails_between_arrays_and_receipt_loses_one_chunk(
    server, url, whole, failure
):
    receipts, stopped = [], []

    def answer(environ):
        if environ["REQUEST_METHOD"] == "PUT" and "/journal/" in environ["PATH_INFO"]:
            receipts.append(environ["PATH_INFO"])
        if len(receipts) > 1:
            if failure == "stop" and not stopped:
                stopped.append(threading.Thread(target=server.stop))
                stopped[0].start()
            return True
        return False

    server.answer = answer
    with pytest.raises(StoreError, match=f"cannot write into '{url}' .* are kept: reach it again"):
        make(url)
    server.answer = lambda environ: False
    if failure == "stop":
        stopped[0].join()
        server.start()
    assert len(store.finished_names(url)) == 1
    assert same(make(url), whole)


def test_a_store_on_s3_grows_and_keeps_every_finished_run(url, whole):
    make(url)
    axes = {"learning_rate": [0.01, 0.02, 0.025, 0.03], "scale": [0.2, 0.3], "seed": 6}
    grown = make(url, axes=axes)
    kept = grown.sel(scale=0.3, learning_rate=[0.01, 0.02, 0.03], seed=range(4))
    assert same(kept.transpose("learning_rate", "seed", "step", "mode"), whole)
    assert bool((grown.first_bad_step == -1).all())
    assert not any("grown" in name for name in content(url))


def test_a_store_that_is_killed_while_it_grows_is_the_old_one_or_the_new_one(
    server, whole, monkeypatch
):
    axes = {**AXES, "learning_rate": [0.01, 0.015, 0.02, 0.03]}
    move = growing._move
    for last in (0, 1, 7):
        place, count = f"s3://bucket/growing-{last}", 0
        make(place)

        def dies(*arguments, last=last):
            nonlocal count
            count += 1
            if count > last:
                raise Killed
            move(*arguments)

        monkeypatch.setattr(growing, "_move", dies)
        monkeypatch.setattr("jssl.sweeps.store.integrity.REQUESTS", 1)
        with pytest.raises(Killed):
            make(place, axes=axes)
        with pytest.raises(InputError, match="is growing; rerun"):
            open_dataset(place)
        monkeypatch.setattr(growing, "_move", move)
        grown = make(place, axes=axes)
        assert same(grown.sel(learning_rate=[0.01, 0.02, 0.03]), whole)


def test_the_report_of_a_store_on_s3(url, tmp_path, capsys):
    make(url, shard=(0, 2))
    assert cli.run(["report", url, "--out", str(tmp_path / "out")]) == 0
    assert "6 of 12 runs; 6 runs at 3 of 3 points are missing" in capsys.readouterr().out


def test_a_place_that_cannot_be_reached_is_one_line(server, url, monkeypatch):
    s3fs.S3FileSystem.clear_instance_cache()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(InputError, match=r"cannot \w+ the store 's3://.*credentials"):
        make(url)
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"cannot \w+ the store 's3://no-such-bucket"):
        make("s3://no-such-bucket/study")
    with pytest.raises(InputError, match="no file system opens 'nonsense://a'"):
        make("nonsense://a")
