"""Every public function on arrays of NumPy, JAX and PyTorch: one value, in the caller's library."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_argument import FUNCTIONS, PUBLIC, arguments, data, whole_numbers

import jssl
from jssl import diagnostics
from jssl.errors import InputError

EVERY = pytest.mark.parametrize("name", FUNCTIONS)
HOST = {"cross_scatter", "distance_to_limit", "moments", "paired_exponent"}
"""Functions whose documentation says that they compute on the host, with NumPy."""
SMOOTH = {
    "alignment": lambda f, z: f(z, z**2).value,
    "cka": lambda f, z: f(z, z**2, debiased=True),
    "covariance": lambda f, z: (f(z) ** 2).sum(),
    "cross_correlation": lambda f, z: (f(z, z**2) ** 2).sum(),
    "effective_rank": lambda f, z: f(z),
    "gaussian_distance": lambda f, z: f(z).value,
    "lidar": lambda f, z: f(z.reshape(-1, 4, 6)),
    "rankme": lambda f, z: f(z),
    "spectrum": lambda f, z: (f(z.mT @ z) ** 3).sum(),
    "subspace_overlap": lambda f, z: f(z, z**2) + f(z, z**2, leading=2),
    "uniformity": lambda f, z: f(z).value,
}
"""Scalar functions of (n, 6) embeddings that have a gradient."""
RNG = np.random.default_rng(0)
Z = RNG.normal(size=(24, 6)) * np.arange(1, 7) + 1


def leaves(result):
    """Return the numbers of a result; sizes that only depend on shapes are Python integers."""
    parts = result if isinstance(result, tuple) else (result,)
    return [part for part in parts if type(part) is not int]


def tensor(value):
    return pytest.importorskip("torch").tensor(np.array(value))


def host(value):
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def given(name, change, dtype=np.float64):
    """Return the arguments of a function with its data and labels as arrays of a library."""
    made = arguments(name, *whole_numbers(), lambda value: np.asarray(value / 32, dtype))
    arrays = {*data(*whole_numbers()), "mean_a", "mean_b", "t", "test_labels", "train_labels"}
    arrays |= {"widths"}
    return {key: change(value) if key in arrays else value for key, value in made.items()}


def check(name, change, kinds, dtype, tolerance):
    reference = leaves(PUBLIC[name](**given(name, np.asarray)))
    found = leaves(PUBLIC[name](**given(name, change, dtype)))
    for ours, expected in zip(found, reference, strict=True):
        assert isinstance(ours, np.ndarray | float if name in HOST else kinds)
        expected = np.asarray(expected, float)
        finite = np.abs(expected[np.isfinite(expected)])
        atol = tolerance * finite.max(initial=0.1)
        np.testing.assert_allclose(host(ours), expected, rtol=tolerance, atol=atol)


@EVERY
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_jax_has_the_values_of_numpy(name, dtype):
    check(name, jnp.asarray, jax.Array, dtype, 1e-9 if dtype == np.float64 else 2e-5)


@EVERY
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_pytorch_has_the_values_of_numpy_as_tensors(name, dtype):
    torch = pytest.importorskip("torch")
    check(name, tensor, torch.Tensor, dtype, 1e-9 if dtype == np.float64 else 2e-5)


@EVERY
def test_half_precision_of_pytorch_is_computed_in_float32(name):
    torch = pytest.importorskip("torch")
    if name in HOST:
        return
    wide = arguments(name, *whole_numbers(), lambda value: np.asarray(value, np.float64))
    narrow = set(data(*whole_numbers())) & set(wide)
    made = wide | {key: tensor(wide[key]).bfloat16() for key in narrow}
    found, reference = leaves(PUBLIC[name](**made)), leaves(PUBLIC[name](**wide))
    for ours, expected in zip(found, reference, strict=True):
        expected = np.asarray(expected, float)
        atol = 2e-5 * np.abs(expected[np.isfinite(expected)]).max(initial=0.1)
        np.testing.assert_allclose(host(ours), expected, rtol=2e-5, atol=atol)
        assert getattr(ours, "dtype", None) != torch.bfloat16


@EVERY
def test_numpy_in_is_numpy_out_and_jax_is_not_imported(name):
    if name == "collapse":  # the landscape theory is JAX's
        return
    found = leaves(PUBLIC[name](**given(name, np.asarray)))
    assert all(isinstance(ours, np.ndarray | np.generic | float) for ours in found)


def test_the_package_runs_without_jax():
    code = (
        "import sys, numpy as np; from jssl import diagnostics as d; z = np.eye(9);"
        "d.rankme(z), d.cka(z, z), d.uniformity(z), d.knn_probe(z, np.arange(9) % 2, z,"
        "np.arange(9) % 2, neighbours=3), d.lidar(z.reshape(3, 3, 9)), d.gaussian_distance(z);"
        "d.detect_steps(np.arange(9), z), d.collapse_verdict(z[0], 1.0, 9);"
        "print([name for name in ('jax', 'torch', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@EVERY
def test_a_value_that_is_not_finite_is_seen_by_numpy_and_pytorch(name):
    libraries = [np.asarray]
    if "torch" in sys.modules:
        libraries.append(tensor)
    for change in libraries:
        made = given(name, np.asarray)
        touched = [key for key in made if key in data(*whole_numbers())]
        for key in touched:
            made[key] = made[key].copy()
            made[key].flat[1] = np.nan
        arrays = {
            k: change(v) if isinstance(v, np.ndarray) and name not in HOST else v
            for k, v in made.items()
        }
        try:
            found = leaves(PUBLIC[name](**arrays))
        except InputError:
            continue
        floats = [host(ours) for ours in found if host(ours).dtype.kind == "f"]
        assert not touched or not all(np.isfinite(ours).all() for ours in floats)


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_under_jax_agree_with_differences_and_with_those_of_pytorch(name):
    function = PUBLIC[name]
    found = jax.grad(lambda z: SMOOTH[name](function, z))(jnp.asarray(Z))
    step = RNG.normal(size=Z.shape)
    ahead, behind = (float(SMOOTH[name](function, Z + h * step)) for h in (1e-5, -1e-5))
    np.testing.assert_allclose(np.sum(found * step), (ahead - behind) / 2e-5, rtol=1e-5, atol=1e-8)
    torch = pytest.importorskip("torch")
    z = torch.tensor(Z, requires_grad=True)
    SMOOTH[name](function, z).backward()
    np.testing.assert_allclose(z.grad.numpy(), found, rtol=1e-7, atol=1e-9 * np.abs(found).max())


@pytest.mark.parametrize("name", SMOOTH)
def test_jit_and_vmap_have_the_value_of_a_call(name):
    def value(z):
        return SMOOTH[name](PUBLIC[name], z)

    batch = jnp.stack([jnp.asarray(Z), jnp.asarray(Z[::-1] ** 2)])
    each = jnp.stack([value(z) for z in batch])
    np.testing.assert_allclose(jax.jit(jax.vmap(value))(batch), each, rtol=1e-9)


def test_arrays_of_pytorch_and_jax_together_are_refused_and_lists_are_numpy():
    assert isinstance(diagnostics.rankme([[1.0, 2.0], [3.0, 1.0]]), np.floating)
    mixed = diagnostics.cka(jnp.asarray(Z), Z)  # NumPy beside another library becomes its array
    assert isinstance(mixed, jax.Array)
    torch = pytest.importorskip("torch")
    assert isinstance(diagnostics.cka(Z, torch.tensor(Z)), torch.Tensor)
    with pytest.raises(InputError, match="PyTorch and of JAX"):
        diagnostics.cka(jnp.asarray(Z), torch.tensor(Z))
    with pytest.raises(InputError, match="real numbers; got complex64"):
        diagnostics.rankme(torch.ones((3, 2), dtype=torch.complex64))


@pytest.mark.filterwarnings("ignore")  # PyTorch's own on these kinds
@pytest.mark.parametrize("kind", ["to_sparse", "to_sparse_csr", "nested", "quantised"])
def test_a_tensor_that_is_not_dense_is_refused_with_what_to_pass_instead(kind):
    torch = pytest.importorskip("torch")
    dense = torch.eye(9, 3)
    if kind == "nested":
        z, said = torch.nested.nested_tensor([dense, dense[:2]]), "a nested tensor; pass one row"
    elif kind == "quantised":
        z = torch.quantize_per_tensor(dense, 0.1, 0, torch.qint8)
        said = r"a quantised tensor; pass embeddings.dequantize\(\)"
    else:
        z, said = getattr(dense, kind)(), r"layout sparse_\w+; pass embeddings.to_dense\(\)"
    for function in (diagnostics.rankme, diagnostics.uniformity, jssl.diagnose):
        with pytest.raises(InputError, match=said):
            function(z)


@EVERY
def test_masked_values_are_refused_and_a_mask_of_nothing_is_not(name):
    made = given(name, np.asarray)
    masked = [key for key in made if key in data(*whole_numbers())]
    for key in masked[:1]:
        none = np.ma.array(made[key], mask=np.zeros(made[key].shape, bool))
        PUBLIC[name](**(made | {key: none}))
        some = np.ma.array(made[key], mask=made[key] > np.median(made[key]))
        with pytest.raises(InputError, match="masked values"):
            PUBLIC[name](**(made | {key: some}))
