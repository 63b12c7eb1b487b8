import gzip
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import tracemalloc

import jax
import numpy as np
import pytest
from sklearn.datasets import load_digits

from jssl import memory
from jssl.data import images as I
from jssl.data.formats import read_cifar10, read_idx
from jssl.errors import InputError

RNG = np.random.default_rng(0)


def idx_bytes(array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def refusal(call):
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    monkeypatch.setattr(I, "_SYSTEM", tmp_path / "nowhere")
    monkeypatch.delenv("JSSL_DATA", raising=False)


def test_digits_are_those_of_scikit_learn():
    bunch = load_digits()
    x, labels = I.digits()
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x[..., 0], (bunch.images / 16).astype(np.float32))
    np.testing.assert_array_equal(labels, bunch.target)


def test_digits_do_not_import_scikit_learn():
    code = (
        "import sys; from jssl.data.images import digits; digits(); print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("packed", [True, False])
def test_idx_files_are_read_plain_and_gzipped(tmp_path, packed):
    array = RNG.integers(0, 256, (3, 4, 5)).astype(np.uint8)
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(idx_bytes(array)) if packed else idx_bytes(array))
    np.testing.assert_array_equal(read_idx(path), array)


def test_idx_integers_are_big_endian(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(struct.pack(">BBBBI3i", 0, 0, 0x0C, 1, 3, 1, -2, 300_000))
    np.testing.assert_array_equal(read_idx(path), [1, -2, 300_000])


def test_damaged_idx_files_are_refused_by_name(tmp_path):
    good = idx_bytes(np.zeros((3, 4, 5)))
    packed = gzip.compress(good)
    cases = {
        "short": (good[:-1], "truncated or damaged: 59 bytes of data, but its header states 60"),
        "long": (good + b"0", "61 bytes"),
        "header": (good[:9], "not an IDX file"),
        "empty": (b"", "not an IDX file (magic missing"),
        "foreign": (b"PK\3\4" + good, "not an IDX file (magic 504b0304"),
        "badtype": (b"\0\0\x07" + good[3:], "not an IDX file"),
        "packed": (packed[:-9], "truncated or damaged"),
        "checksum": (packed[:-8] + b"\0" * 8, "truncated or damaged"),
    }
    for name, (content, reason) in cases.items():
        (tmp_path / name).write_bytes(content)
        message = refusal(lambda name=name: read_idx(tmp_path / name))
        assert str(tmp_path / name) in message
        assert reason in message
        assert "download it again" in message
    assert "check the path" in refusal(lambda: read_idx(tmp_path / "absent"))


@pytest.mark.parametrize("packed", [False, True])
def test_an_idx_header_that_claims_more_than_memory_is_refused_by_arithmetic(tmp_path, packed):
    claims = struct.pack(">BBBB3I", 0, 0, 8, 3, 60_000, 28_000, 28_000)
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(claims) if packed else claims)
    says = "needs 9.41e+04 GB of memory" if packed else "0 bytes of data, but its header states"
    tracemalloc.start()
    assert says in refusal(lambda: read_idx(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_packed_idx_file_is_unpacked_no_further_than_its_header_says(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(idx_bytes(np.zeros((3, 4, 5))) + b"\0" * 50_000_000))
    tracemalloc.start()
    assert "61 bytes of data, but its header states 60" in refusal(lambda: read_idx(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize("packed", [False, True])
def test_cifar10_batches_that_claim_more_than_memory_are_refused(tmp_path, monkeypatch, packed):
    monkeypatch.setattr(memory, "free_memory", lambda: 1e6)
    path = tmp_path / "test_batch.bin"
    with path.open("wb") as file:
        file.truncate(10**8)  # sparse: it takes no room on the disk
    if packed:
        info = tarfile.TarInfo("test_batch.bin")
        info.size = 10**8
        path = tmp_path / "cifar.tar.gz"
        path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT)))
    message = refusal(lambda: I.cifar10(path if packed else tmp_path, "test"))
    assert "needs 0.2 GB of memory and 0.001 GB are free" in message


def fashion_files(folder, n=4, labels=None, gz=True):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, (n, 28, 28)).astype(np.uint8)
    labels = np.arange(n) % 10 if labels is None else labels
    for stem, array in [("images-idx3", pixels), ("labels-idx1", labels)]:
        for part in ("train", "t10k"):
            content = idx_bytes(array if part == "train" else array[:2])
            name = f"{part}-{stem}-ubyte" + (".gz" if gz else "")
            (folder / name).write_bytes(gzip.compress(content) if gz else content)
    return pixels


@pytest.mark.parametrize("sub", ["", "fashion-mnist"])
@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.usefixtures("no_data")
def test_fashion_mnist_is_found_in_the_data_folder(tmp_path, monkeypatch, sub, gz):
    pixels = fashion_files(tmp_path / "data" / sub, gz=gz)
    monkeypatch.setenv("JSSL_DATA", str(tmp_path / "data"))
    x, labels = I.load("fashion_mnist")
    np.testing.assert_allclose(x[..., 0], pixels / 255, atol=1e-7)
    assert (x.shape, x.dtype) == ((4, 28, 28, 1), np.float32)
    np.testing.assert_array_equal(labels, [0, 1, 2, 3])
    assert len(I.load("fashion_mnist", "test").x) == 2
    assert I.available()["fashion_mnist"] == tmp_path / "data" / sub


@pytest.mark.usefixtures("no_data")
def test_absent_data_says_what_to_do():
    assert I.available()["fashion_mnist"] is None
    assert I.available()["cifar10"] is None
    assert I.available()["digits"].is_file()
    for name in ("fashion_mnist", "cifar10"):
        assert "set JSSL_DATA" in refusal(lambda name=name: I.load(name))
    assert "absent" in refusal(lambda: I.fashion_mnist(path="absent"))


def test_fashion_mnist_refuses_other_splits_and_label_counts(tmp_path):
    fashion_files(tmp_path, labels=np.arange(3))
    assert "4 images and 3 labels" in refusal(lambda: I.fashion_mnist(path=tmp_path))
    assert "unknown split" in refusal(lambda: I.fashion_mnist("validation", tmp_path))
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    assert "train-labels-idx1-ubyte" in refusal(lambda: I.fashion_mnist(path=tmp_path))


def test_the_real_fashion_mnist_has_its_published_size():
    if I.find("fashion_mnist") is None:
        pytest.skip("Fashion-MNIST is not on this machine")
    x, labels = I.fashion_mnist("test")
    assert x.shape == (10_000, 28, 28, 1)
    assert (x.min(), x.max()) == (0, 1)
    np.testing.assert_array_equal(np.bincount(labels), 1000)


def cifar_files(folder, binary, protocol=2):
    """Two images a batch in a published layout; return all pixels as (12, 32, 32, 3)."""
    folder.mkdir(parents=True, exist_ok=True)
    x = RNG.integers(0, 256, (12, 32, 32, 3)).astype(np.uint8)
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    for k, name in enumerate(names):
        # a row is all red pixels, then all green ones, then all blue ones, each row by row
        rows = np.stack(
            [np.concatenate([im[:, :, c].ravel() for c in range(3)]) for im in x[2 * k : 2 * k + 2]]
        )
        labels = [2 * k % 10, (2 * k + 1) % 10]
        if binary:
            content = b"".join(bytes([y]) + r.tobytes() for y, r in zip(labels, rows, strict=True))
            (folder / f"{name}.bin").write_bytes(content)
        else:
            content = python2_pickle(rows, labels) if protocol == 2 else None
            batch = {b"batch_label": b"b", b"labels": labels, b"data": rows}
            (folder / name).write_bytes(content or pickle.dumps(batch, protocol=protocol))
    return x


def python2_pickle(rows, labels):
    """The bytes that Python 2 wrote: protocol 2, str opcodes for names and pixels, numpy.core."""

    def string(b):
        return b"U" + bytes([len(b)]) + b if len(b) < 256 else b"T" + struct.pack("<i", len(b)) + b

    def integer(i):
        return b"K" + bytes([i]) if i < 256 else b"M" + struct.pack("<H", i)

    dtype = b"cnumpy\ndtype\n" + string(b"u1") + b"K\0K\1\x87R(K\3" + string(b"|") + b"NNN"
    dtype += (b"J" + struct.pack("<i", -1)) * 2 + b"K\0tb"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + string(b"b") + b"\x87R"
    )
    array += b"(K\1" + integer(rows.shape[0]) + integer(rows.shape[1]) + b"\x86" + dtype
    array += b"\x89" + string(rows.tobytes()) + b"tb"
    listed = b"](" + b"".join(map(integer, labels)) + b"e"
    return b"\x80\2}(" + string(b"data") + array + string(b"labels") + listed + b"u."


LAYOUTS = [(True, 2), (False, 2), (False, 4)]


@pytest.mark.parametrize(("binary", "protocol"), LAYOUTS)
@pytest.mark.parametrize("packed", [True, False])
def test_cifar10_layouts_give_the_same_images(tmp_path, binary, protocol, packed):
    folder = tmp_path / ("cifar-10-batches-bin" if binary else "cifar-10-batches-py")
    x, path = cifar_files(folder, binary, protocol), folder
    if packed:
        path = tmp_path / "cifar.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, folder.name)
    train, test = I.cifar10(path), I.cifar10(path, "test")
    np.testing.assert_allclose(train.x, x[:10] / 255, atol=1e-7)
    np.testing.assert_allclose(test.x, x[10:] / 255, atol=1e-7)
    np.testing.assert_array_equal(train.labels, np.arange(10))
    assert train.x.dtype == np.float32


@pytest.mark.usefixtures("no_data")
def test_cifar10_is_found_in_the_data_folder(tmp_path, monkeypatch):
    cifar_files(tmp_path / "cifar10" / "cifar-10-batches-bin", binary=True)
    monkeypatch.setenv("JSSL_DATA", str(tmp_path))
    assert I.available()["cifar10"] == tmp_path / "cifar10" / "cifar-10-batches-bin"
    assert I.load("cifar10", "test").x.shape == (2, 32, 32, 3)


class _Attack:
    def __reduce__(self):
        return os.system, ("touch attacked",)


@pytest.mark.parametrize("smuggled", [_Attack(), {b"data": _Attack()}, np.array([_Attack()])])
def test_a_hostile_pickle_runs_nothing(tmp_path, monkeypatch, smuggled):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_batch").write_bytes(pickle.dumps(smuggled, protocol=2))
    message = refusal(lambda: read_cifar10(tmp_path, "test"))
    assert "it requires" in message
    assert not (tmp_path / "attacked").exists()


def test_damaged_cifar10_files_are_refused_by_name(tmp_path):
    cifar_files(tmp_path / "py", binary=False)
    cifar_files(tmp_path / "bin", binary=True)
    batch = tmp_path / "py" / "test_batch"
    batch.write_bytes(batch.read_bytes()[:-100])
    said = refusal(lambda: I.cifar10(tmp_path / "py", "test"))
    assert "test_batch is not a CIFAR-10 batch" in said
    batch.write_bytes(pickle.dumps({b"data": np.zeros((2, 3), np.uint8), b"labels": [1, 2]}, 4))
    assert "does not contain" in refusal(lambda: I.cifar10(tmp_path / "py", "test"))
    (tmp_path / "py" / "data_batch_3").unlink()
    assert "lacks data_batch_3;" in refusal(lambda: I.cifar10(tmp_path / "py"))
    batch = tmp_path / "bin" / "test_batch.bin"
    batch.write_bytes(batch.read_bytes()[:-1])
    assert "6145 bytes" in refusal(lambda: I.cifar10(tmp_path / "bin", "test"))
    archive = tmp_path / "cut.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "bin", "bin")
    archive.write_bytes(archive.read_bytes()[:2000])
    assert "cut.tar.gz is truncated" in refusal(lambda: I.cifar10(archive))
    assert "unknown split" in refusal(lambda: I.cifar10(tmp_path / "bin", "val"))


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (np.full((2, 4, 4), 51, np.uint8), 0.2),
        (np.full((2, 4, 4, 3), 51, np.int64), 0.2),
        (np.full((2, 4, 4, 3), 51.0), 0.2),
        (np.full((2, 4, 4), 0.2), 0.2),
        (np.full((2, 4, 4), True), 1.0),
    ],
)
def test_npz_images_are_scaled_to_one(tmp_path, stored, expected):
    np.savez(tmp_path / "x.npz", pictures=stored, y=np.array([3, 4]), other=np.ones(7))
    x, labels = I.load(tmp_path / "x.npz")
    assert (x.ndim, x.dtype) == (4, np.float32)
    np.testing.assert_allclose(x, expected, atol=1e-7)
    np.testing.assert_array_equal(labels, [3, 4])


def test_npz_arrays_are_chosen_by_name(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.zeros((2, 4, 4)), b=np.ones((2, 4, 4)), y=np.arange(2), z=np.arange(2))
    assert "pass images=NAME" in refusal(lambda: I.npz(path))
    assert "unknown array" in refusal(lambda: I.npz(path, "c"))
    assert "cannot be images" in refusal(lambda: I.npz(path, "y"))
    assert "cannot be labels" in refusal(lambda: I.npz(path, "a", "b"))
    assert I.npz(path, "a").labels is None  # two candidates: none is chosen
    x, labels = I.npz(path, "b", "z")
    assert (x.min(), labels.tolist()) == (1, [0, 1])


def test_bad_npz_files_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    assert "no file" in refusal(lambda: I.load(path))
    path.write_bytes(b"nonsense")
    assert "cannot read" in refusal(lambda: I.load(path))
    np.savez(path, x=np.array([{}], dtype=object))
    assert "cannot read" in refusal(lambda: I.load(path))
    np.savez(path, x=np.zeros((2, 4, 4)))
    path.write_bytes(path.read_bytes()[:-30])
    assert "cannot read" in refusal(lambda: I.load(path))
    np.savez(path, x=np.zeros((2, 3, 8, 8)))
    assert "channels first" in refusal(lambda: I.load(path))
    for bad in (-1.0, 256.0, np.nan):
        np.savez(path, x=np.full((2, 4, 4), bad))
        assert "scale them" in refusal(lambda: I.load(path))


def test_unknown_names_get_a_hint():
    assert "did you mean 'fashion_mnist'" in refusal(lambda: I.load("fashion-mnist"))
    assert "unknown images" in refusal(lambda: I.find("imagenet"))


def test_subsets_are_nested_distinct_and_keep_labels():
    n = 50
    full = I.Images(np.arange(n, dtype=np.float32).reshape(n, 1, 1, 1), np.arange(n))
    small, large = (I.subset(jax.random.key(0), full, k) for k in (5, 50))
    np.testing.assert_array_equal(small.labels, large.labels[:5])
    np.testing.assert_array_equal(small.x.ravel(), small.labels)
    assert sorted(large.labels) == list(range(n))
    assert I.subset(jax.random.key(0), full._replace(labels=None), 5).labels is None
    for k in (0, 51, 2.5):
        refusal(lambda k=k: I.subset(jax.random.key(0), full, k))
