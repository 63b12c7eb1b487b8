"""Modes without a Gram matrix: those of the dense method, after interruptions as well."""

import os
import subprocess
import sys
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.kernels import contrastive_modes, embed, infinite, matrix_free, tiles
from jssl.kernels.matrix_free import leading_modes
from jssl.kernels.tiles import KernelProduct
from jssl.models import centred, conv, linear, mlp, residual
from jssl.types import Model, Pairs

RNG = np.random.default_rng(0)


def make_pairs(n=90, features=6, noise=0.3, dtype=float):
    common, first, second = RNG.standard_normal((3, n, features))
    scale = 0.7 ** np.arange(features)
    views = (common + noise * first) * scale, (common + noise * second) * scale
    return Pairs(*(view.astype(dtype) for view in views))


PAIRS = make_pairs()
MODELS = {
    "relu": mlp(6, 1, depth=3, activation="relu"),
    "biased": mlp(6, 1, depth=2, activation="erf", bias_std=0.3),
    "residual": residual(6, 1, activation="relu"),
    "linear": linear(6, 1),
    "centred": centred(mlp(6, 1, activation="relu"), 0.1),
}


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
@pytest.mark.parametrize("name", MODELS)
def test_products_are_those_of_the_gram_matrix(name, kind):
    """Tiles that do not divide the rows."""
    gram = np.asarray(infinite.gram(MODELS[name], PAIRS, kind=kind))
    v = RNG.standard_normal((180, 3))
    views = np.concatenate(PAIRS[:2])
    shares = []
    product = KernelProduct(MODELS[name], views, kind=kind, tile=64)
    np.testing.assert_allclose(product(v, shares.append), gram @ v, rtol=1e-9, atol=1e-9)
    assert len(shares) == product.tiles == 6
    assert shares[-1] == 1


@pytest.mark.parametrize("name", ["relu", "linear"])  # of a dense network, and any other
@pytest.mark.parametrize(("kept", "computed"), [(True, 3), (False, 6)])
def test_small_tiles_are_computed_once_and_large_ones_for_every_product(
    name, kept, computed, monkeypatch
):
    monkeypatch.setattr(tiles, "KEPT", 3 * 64**2 * 8 if kept else 3 * 64**2 * 8 - 1)
    views = np.concatenate([view[:60] for view in PAIRS[:2]])
    product = KernelProduct(MODELS[name], views, tile=64)
    assert product.are_kept == kept
    calls, evaluate = [], "_evaluate" if name == "relu" else "_block"
    compute = getattr(product._parts, evaluate)
    monkeypatch.setattr(
        product._parts, evaluate, lambda *args: calls.append(len(args)) or compute(*args)
    )
    v = RNG.standard_normal((120, 3))
    first = product(v)
    np.testing.assert_array_equal(product(v), first)
    assert len(calls) == computed
    gram = np.asarray(infinite.kernel(MODELS[name], views))
    np.testing.assert_allclose(first, gram @ v, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "dim"), [("relu", 8), ("biased", 5), ("residual", 4)])
def test_modes_are_those_of_the_dense_method(name, dim):
    gram = infinite.gram(MODELS[name], PAIRS)
    exact = contrastive_modes(gram, dim)
    found = leading_modes(MODELS[name], PAIRS, dim, width=16, tile=64)
    np.testing.assert_allclose(found.eigenvalues, exact.eigenvalues, rtol=1e-9)
    assert (found.residual <= 4e-11 * found.eigenvalues[0]).all()
    za, zb = np.split(np.asarray(embed(found, gram)), 2)
    np.testing.assert_allclose((za.T @ zb + zb.T @ za) / 180, np.eye(dim), atol=1e-7)
    overlap = np.asarray(found.coefficients).T @ gram @ exact.coefficients
    np.testing.assert_allclose(np.abs(np.diag(overlap)), 1, atol=1e-6)


@pytest.mark.float32
def test_modes_in_float32_are_those_in_float64_to_the_tolerance():
    pairs = make_pairs(dtype=np.float32)
    model = MODELS["relu"]
    views = np.concatenate([np.asarray(x, float) for x in pairs[:2]])
    gram = model.kernel.on_host(views, None, ["ntk"])[0]
    half = np.roll(np.linalg.cholesky(gram + 1e-13 * np.eye(180)), 90, axis=0)
    exact = np.linalg.eigvalsh(np.linalg.cholesky(gram + 1e-13 * np.eye(180)).T @ half / 180)[::-1]
    found = leading_modes(model, pairs, 6, width=16, tile=64)
    assert found.coefficients.dtype == jnp.float32
    np.testing.assert_allclose(found.eigenvalues, exact[:6], atol=1e-5 * exact[0])


def test_convolutional_kernels_go_through_tiles_too():
    images = RNG.standard_normal((2, 12, 4, 4, 1))
    model = conv((4, 4, 1), 1, layers=1)
    pairs = Pairs(jnp.asarray(images[0]), jnp.asarray(images[0] + 0.1 * images[1]))
    exact = contrastive_modes(infinite.gram(model, pairs), 3).eigenvalues
    found = leading_modes(model, pairs, 3, width=8, tile=10)
    np.testing.assert_allclose(found.eigenvalues, exact, rtol=1e-8)


def test_an_interrupted_run_continues_to_the_same_bits(tmp_path):
    options = {"width": 12, "tile": 64}
    whole = leading_modes(MODELS["relu"], PAIRS, 6, **options)
    seen = []

    def stop(progress):
        seen.append(progress)
        if progress.products == 4:
            raise KeyboardInterrupt

    path = tmp_path / "state.npz"
    with pytest.raises(KeyboardInterrupt):
        leading_modes(MODELS["relu"], PAIRS, 6, checkpoint=path, progress=stop, **options)
    assert path.exists()
    rest = []
    found = leading_modes(
        MODELS["relu"], PAIRS, 6, checkpoint=path, progress=rest.append, **options
    )
    assert rest[0].products == 4
    for a, b in zip(found, whole, strict=True):
        np.testing.assert_array_equal(a, b)
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "state.npz"
    leading_modes(MODELS["relu"], PAIRS, 4, checkpoint=path)
    other = make_pairs()
    for model, pairs, dim in (
        (MODELS["relu"], other, 4),
        (MODELS["biased"], PAIRS, 4),
        (MODELS["relu"], PAIRS, 5),
    ):
        with pytest.raises(InputError, match="belongs to other pairs"):
            leading_modes(model, pairs, dim, checkpoint=path)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match="is not a checkpoint"):
        leading_modes(MODELS["relu"], PAIRS, 4, checkpoint=path)
    with pytest.raises(InputError, match="create it first"):
        leading_modes(MODELS["relu"], PAIRS, 4, checkpoint=tmp_path / "no" / "state.npz")


def test_a_long_run_is_refused_with_its_estimate_before_it_begins(monkeypatch):
    monkeypatch.setattr(KernelProduct, "estimate", lambda self, columns: 1800.0)
    ticks = []
    with pytest.raises(InputError, match=r"90 pairs would take about 6\.0 hours .* most_hours=9"):
        leading_modes(MODELS["relu"], PAIRS, 4, progress=ticks.append)
    assert not ticks
    assert leading_modes(MODELS["relu"], PAIRS, 4, most_hours=9).eigenvalues.shape == (4,)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dim": 91}, "90 pairs have at most 90"),
        ({"dim": 0}, "dim must be a whole number"),
        ({"model": mlp(6, 1, parametrisation="mup")}, "no infinite-width kernel"),
        ({"kind": "nkt"}, "did you mean 'ntk'"),
        ({"width": 3}, "width must be"),
        ({"pairs": Pairs(PAIRS.first, PAIRS.second[:4])}, "match row by row"),
        ({"pairs": Pairs(PAIRS.first[:0], PAIRS.second[:0])}, "at least one input"),
        ({"pairs": Pairs(PAIRS.first, PAIRS.second * np.nan)}, "second has a value that is not"),
        ({"products": 3}, "no convergence in 3 products"),
    ],
)
def test_bad_input_is_refused(changes, says):
    given = {"model": MODELS["relu"], "pairs": PAIRS, "dim": 4} | changes
    with pytest.raises(InputError, match=says):
        leading_modes(**given)


def test_memory_is_linear_in_the_number_of_pairs(monkeypatch):
    """Where no tile is kept: less than a quarter of the Gram matrix."""
    monkeypatch.setattr(tiles, "KEPT", 0)
    pairs = Pairs(*RNG.standard_normal((2, 1500, 3)))
    tracemalloc.start()
    leading_modes(mlp(3, 1, depth=1, activation="relu"), pairs, 4, width=8, tile=256)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3000**2 * 8 / 4


@pytest.mark.parametrize("function", [leading_modes, lambda m, p, _: infinite.gram(m, p)])
@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (np.ones((4, 5)), np.ones((4, 5)), "with 6 numbers per sample"),
        (np.ones(6), np.ones(6), "with 6 numbers per sample"),
        (np.ones((4, 6)), np.ones((3, 6)), "must match row by row"),
        (np.ma.masked_equal(np.eye(4, 6), 1), np.ones((4, 6)), "masked values"),
        ([["a"] * 6] * 4, [["a"] * 6] * 4, "must be"),
        ([[1.0, 2.0], [1.0]], [[1.0, 2.0], [1.0]], "must be"),
    ],
)
def test_views_that_are_not_those_of_the_network_are_refused(function, first, second, said):
    with pytest.raises(InputError, match=said):
        function(MODELS["relu"], Pairs(first, second), 2)


@pytest.mark.parametrize(
    "option",
    [{"tile": 0}, {"tile": 1.5}, {"tolerance": np.nan}, {"tolerance": -1}, {"products": 0}],
)
def test_options_out_of_range_are_named(option):
    (name,) = option
    with pytest.raises(InputError, match=f"{name} must be"):
        leading_modes(MODELS["relu"], PAIRS, 2, **option)


@pytest.mark.parametrize("damage", ["half", "byte", "array"])
def test_a_damaged_checkpoint_is_named(damage, tmp_path):
    file = tmp_path / "modes.npz"
    leading_modes(MODELS["relu"], PAIRS, 2, checkpoint=file)
    content = file.read_bytes()
    if damage == "array":
        with file.open("wb") as opened:
            np.save(opened, np.ones(3))
    else:
        middle = len(content) // 2
        rest = b"" if damage == "half" else b"###" + content[middle + 3 :]
        file.write_bytes(content[:middle] + rest)
    with pytest.raises(InputError, match="is not a checkpoint of this function; delete it"):
        leading_modes(MODELS["relu"], PAIRS, 2, checkpoint=file)


def test_a_finished_checkpoint_needs_no_more_hours(tmp_path):
    file = tmp_path / "modes.npz"
    found = leading_modes(MODELS["relu"], PAIRS, 2, checkpoint=file)
    again = leading_modes(MODELS["relu"], PAIRS, 2, checkpoint=file, most_hours=1e-12)
    np.testing.assert_array_equal(found.eigenvalues, again.eigenvalues)


def test_tiles_are_spread_over_devices():
    code = """if True:
        import jax, numpy as np
        from jssl.kernels.tiles import KernelProduct
        from jssl.models import linear
        x = np.random.default_rng(0).normal(size=(70, 5)).astype(np.float32)
        v = np.ones((70, 2), np.float32)
        product = KernelProduct(linear(5, 1), x, tile=16)
        product.estimate(2)  # of some tiles, which are then kept
        found = product(v)
        np.testing.assert_allclose(found, x @ (x.T @ v), rtol=1e-4, atol=1e-4)
        print(jax.device_count())
    """
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=3"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"XLA_FLAGS": flags},
    )
    assert done.stdout == "3\n", done.stderr


def test_the_expected_number_of_products_is_that_of_images():
    from jssl.data import images

    x = np.asarray(images.digits().x, float).reshape(-1, 64)[:600]
    noise = 0.1 * RNG.standard_normal((2, *x.shape))
    model = mlp(64, 1, depth=3, activation="relu")
    pairs = Pairs(*jnp.asarray(x + noise))
    for tolerance, size in ((2e-5, 4), (None, 8)):  # those of float32, and of float64
        modes = leading_modes(model, pairs, 16, tolerance=tolerance)
        assert int(modes.steps) <= matrix_free.TYPICAL[size]


def test_the_answer_does_not_depend_on_the_key():
    found = [
        leading_modes(MODELS["relu"], PAIRS, 4, width=12, key=jax.random.key(k)).eigenvalues
        for k in (0, 1)
    ]
    np.testing.assert_allclose(*found, rtol=1e-10)


@pytest.mark.float32
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["relu", "linear", "residual", "erf", "own"])
@pytest.mark.parametrize("n", [6, 40])
def test_eigenvalues_that_are_rounding_are_no_modes(n, name, dtype):
    """Second views of zeros: nothing correlates, and every eigenvalue is 0."""
    x = np.random.default_rng(0).standard_normal((n, 6)).astype(dtype)
    model = {**MODELS, "erf": mlp(6, 1)}.get(name)
    if model is None:
        relu = MODELS["relu"].kernel
        model = MODELS["relu"]._replace(kernel=lambda a, b: list(relu(a, b)))
    with jax.enable_x64(dtype == "float64"):
        for dim in {1, 2, 3, 5, min(n, 10), n}:
            with pytest.raises(InputError, match="only 0 modes are positive"):
                leading_modes(model, Pairs(x, 0 * x), dim)


@pytest.mark.float32
@pytest.mark.parametrize("share", [1e-1, 1e-3, 1e-5])
def test_second_views_that_are_far_smaller_have_the_modes_of_the_pairs(share):
    """A relu kernel is homogeneous: second views c x' have c times the eigenvalues of a product."""
    x = np.random.default_rng(1).standard_normal((2, 40, 6)).astype(np.float32)
    found = leading_modes(MODELS["relu"], Pairs(x[0], share * (x[0] + 0.3 * x[1])), 3)
    views = np.concatenate([x[0], share * (x[0] + 0.3 * x[1])]).astype(float)
    with jax.enable_x64(True):
        gram = MODELS["relu"].kernel.on_host(views, None, ["ntk"])[0]
    root = np.linalg.svd(gram)
    half = root[0] * np.sqrt(root[1])
    exact = np.linalg.eigvalsh(half.T @ np.roll(half, 40, axis=0) / 80)[::-1]
    np.testing.assert_allclose(found.eigenvalues, exact[:3], rtol=0, atol=1e-4 * exact[0])


@pytest.mark.parametrize("other", ["biased", "residual"])
def test_a_checkpoint_of_another_model_is_refused_though_the_first_views_are_blank(other, tmp_path):
    blank = [view * (np.arange(90) > 1)[:, None] for view in PAIRS[:2]]
    file = tmp_path / "modes.npz"
    leading_modes(MODELS["relu"], Pairs(*blank), 2, checkpoint=file)
    with pytest.raises(InputError, match="belongs to other pairs"):
        leading_modes(MODELS[other], Pairs(*blank), 2, checkpoint=file)


def test_a_tile_is_at_most_as_large_as_the_set():
    product = KernelProduct(MODELS["relu"], PAIRS.first, tile=10**6)
    assert product.tiles == 1
    v = np.eye(90)
    np.testing.assert_allclose(product(v), infinite.kernel(MODELS["relu"], PAIRS.first), rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (".", "is no file; give the name of a file"),
        ("", "checkpoint must be the name of a file; got ''"),
        ("a" * 300, "cannot write the checkpoint .*; give another file"),
        ("a" * 252, "cannot write the checkpoint .*; give another file"),
        ("a\0b", "cannot write the checkpoint"),
        (3, "checkpoint must be the name of a file; got 3"),
    ],
)
def test_a_checkpoint_that_cannot_be_written_is_refused_before_the_run(name, said, tmp_path):
    path = name if name in (3, "") else f"{tmp_path}/{name}"
    ticks = []
    with pytest.raises(InputError, match=said):
        leading_modes(MODELS["relu"], PAIRS, 2, checkpoint=path, progress=ticks.append)
    assert not ticks
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_whose_disk_is_full_is_named_and_the_one_before_is_kept(tmp_path, monkeypatch):
    file = tmp_path / "modes.npz"
    leading_modes(MODELS["relu"], PAIRS, 2, checkpoint=file, products=60)
    before = file.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(InputError, match="No space left on device; give another file"):
        leading_modes(MODELS["relu"], PAIRS, 2, checkpoint=file)
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["modes.npz"]


def test_a_checkpoint_with_a_cut_block_is_named(tmp_path):
    file = tmp_path / "modes.npz"
    leading_modes(MODELS["relu"], PAIRS, 2, checkpoint=file)
    with np.load(file) as held:
        fields = {name: held[name] for name in held.files}
    np.savez(file, **fields | {"basis 0": fields["basis 0"][:10]})
    with pytest.raises(InputError, match="is not a checkpoint of this function"):
        leading_modes(MODELS["relu"], PAIRS, 2, checkpoint=file)


def test_what_is_no_model_or_gives_no_pair_of_kernels_is_named():
    views = jnp.asarray(PAIRS.first), jnp.asarray(PAIRS.second)
    one = Model(MODELS["relu"].init, MODELS["relu"].apply, lambda a, b: a @ b.T)
    for call, said in (
        (lambda: leading_modes("relu", PAIRS, 2), "model must be a jssl.types.Model"),
        (lambda: infinite.gram(None, PAIRS), "model must be a jssl.types.Model"),
        (lambda: leading_modes(one, PAIRS, 2), r"must return \(nngp, ntk\)"),
        (lambda: infinite.gram(one, PAIRS), r"must return \(nngp, ntk\)"),
        (
            lambda: jax.jit(lambda a, b: leading_modes(MODELS["relu"], Pairs(a, b), 2))(*views),
            "must be known, not traced",
        ),
        (
            lambda: jax.jit(lambda k: leading_modes(MODELS["relu"], PAIRS, 2, key=k))(
                jax.random.key(0)
            ),
            "must be known, not traced",
        ),
        (
            lambda: jax.jit(lambda t: leading_modes(MODELS["relu"], PAIRS, 2, tolerance=t))(1e-3),
            "must be known, not traced",
        ),
        (
            lambda: jax.jit(lambda s: leading_modes(mlp(6, 1, weight_std=s), PAIRS, 2))(1.0),
            "must be known, not traced",
        ),
        (
            lambda: jax.jit(lambda h: leading_modes(MODELS["relu"], PAIRS, 2, most_hours=h))(1.0),
            "must be known, not traced",
        ),
        (lambda: leading_modes(MODELS["relu"], PAIRS, 2, progress=3), "progress must be"),
        (lambda: leading_modes(MODELS["relu"], PAIRS, 2, tolerance=2.0), "tolerance must be"),
        (
            lambda: infinite.kernel(MODELS["relu"], np.zeros(3, [("a", float)])),
            "x1 must be an array of real numbers",
        ),
        (lambda: leading_modes(MODELS["relu"], PAIRS, "2"), "got '2'"),
        (lambda: infinite.kernel(MODELS["relu"], "abc"), "x1 must be an array of real numbers"),
    ):
        with pytest.raises(InputError, match=said):
            call()


def test_masked_arrays_without_masked_entries_are_plain_arrays():
    masked = Pairs(*map(np.ma.masked_array, PAIRS[:2]))
    np.testing.assert_array_equal(
        infinite.gram(MODELS["relu"], masked), infinite.gram(MODELS["relu"], PAIRS)
    )


@pytest.mark.float32
@pytest.mark.parametrize("method", ["leading", "dense", "iterative"])
@pytest.mark.parametrize("scale", [2.0**-50, 2.0**-34, 2.0**34, 2.0**54])
def test_modes_keep_their_digits_at_any_scale_of_inputs(scale, method):
    """The kernel is homogeneous: inputs c x have c^2 times the eigenvalues, and c^-1 c_j."""

    def modes(scale):
        pairs = Pairs(*(np.float32(scale) * np.asarray(x, np.float32) for x in PAIRS[:2]))
        if method == "leading":
            return leading_modes(MODELS["relu"], pairs, 4)
        return contrastive_modes(infinite.gram(MODELS["relu"], pairs), 4, method=method)

    with jax.enable_x64(False):
        found, plain = modes(scale), modes(1.0)
        np.testing.assert_allclose(found.eigenvalues / scale**2, plain.eigenvalues, rtol=1e-5)
        np.testing.assert_allclose(found.residual / scale**2, plain.residual, atol=1e-5)
        sizes = [np.linalg.norm(m.coefficients, axis=0) for m in (found, plain)]
        np.testing.assert_allclose(sizes[0] * scale, sizes[1], rtol=1e-3)


@pytest.mark.float32
def test_a_kernel_that_single_precision_cannot_hold_is_refused():
    small, large = (
        Pairs(*(np.float32(c) * np.float32(x) for x in PAIRS[:2])) for c in (1e-18, 1e18)
    )
    with jax.enable_x64(False):
        with pytest.raises(InputError, match=r"too small for float32, .* multiply the inputs"):
            leading_modes(MODELS["relu"], small, 2)
        with pytest.raises(InputError, match="Gram matrix is too small for float32"):
            contrastive_modes(infinite.gram(MODELS["relu"], small), 2)
        with pytest.raises(InputError, match="overflows float32; divide them"):
            leading_modes(MODELS["relu"], large, 2)
        tiny = Pairs(*(np.float32(1e-25) * np.float32(x) for x in PAIRS[:2]))
        with pytest.raises(InputError, match="kernel of these inputs is 0 in float32"):
            leading_modes(MODELS["relu"], tiny, 1)
        with pytest.raises(InputError, match="not finite; check the inputs, and their scale"):
            leading_modes(mlp(6, 1, weight_std=1e30), PAIRS, 2)


def test_a_tolerance_that_hides_modes_is_named():
    with pytest.raises(InputError, match=r"lower tolerance, since modes below 0.1 of the largest"):
        leading_modes(MODELS["relu"], PAIRS, 20, tolerance=0.1)
    with pytest.raises(InputError, match="kernel of the model must be a function; got 3"):
        leading_modes(MODELS["relu"]._replace(kernel=3), PAIRS, 1)
