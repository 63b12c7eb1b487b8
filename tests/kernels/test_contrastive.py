import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from jax.tree_util import Partial

from jssl.errors import InputError
from jssl.kernels import (
    contrastive_kernel,
    contrastive_modes,
    dense,
    embed,
    lanczos,
    square_root,
    swap,
    two_view_gram,
)

METHODS = ("dense", "iterative")
PAIRS, DIM = 20, 3  # most tests share one size, and so one compiled program for each method


def _views(n=PAIRS, features=6, noise=0.7, seed=0):
    """Both views, (2n, features), decaying spectrum; the views of a pair are correlated."""
    generator = np.random.default_rng(seed)
    common, a, b = generator.normal(size=(3, n, features))
    scale = np.arange(1, features + 1) ** -0.5
    return np.concatenate([common + noise * a, common + noise * b]) * scale


def _gaussian_kernel(x, y):
    return np.exp(-((x[:, None] - y[None]) ** 2).sum(-1) / x.shape[1])


def _linear(signs=1):
    """A linear kernel, of rank 6, and Gamma (6, 6); negative signs make views disagree."""
    z = _views(noise=0.3)
    a, b = z[:PAIRS], z[PAIRS:] * signs
    z = np.concatenate([a, b])
    return z, z @ z.T, (a.T @ b + b.T @ a) / (2 * PAIRS)


DISAGREEING = np.array([1, -1, 1, -1, -1, -1])


def _swapped(n):
    return np.block([[np.zeros((n, n)), np.eye(n)], [np.eye(n), np.zeros((n, n))]])


def test_gram_of_two_views_is_the_gram_of_their_stack():
    z = _views(5, 3)
    a, b = z[:5], z[5:]
    gram = two_view_gram(
        *(jnp.asarray(_gaussian_kernel(p, q)) for p, q in ((a, a), (a, b), (b, b)))
    )
    np.testing.assert_allclose(gram, _gaussian_kernel(z, z), rtol=1e-15)


def test_swap_exchanges_the_views():
    np.testing.assert_array_equal(swap(3), _swapped(3))


def test_contrastive_kernel_is_the_published_one_with_inverse_roots():
    n = 8
    z = _views(n, 5)
    gram = _gaussian_kernel(z, z)
    # The paper: K^{-1/2} K_{,Gamma} K^{-1/2}, K_Gamma(x, x') = (1/2n) sum_i k(x, x_i) k(x'_i, x')
    # and its transpose, evaluated on Z.
    one, two = gram[:, :n] @ gram[n:, :], gram[:, n:] @ gram[:n, :]
    inverse_root = np.linalg.inv(scipy.linalg.sqrtm(gram))
    published = inverse_root @ ((one + two) / (2 * n)) @ inverse_root
    np.testing.assert_allclose(contrastive_kernel(jnp.asarray(gram)), published, atol=1e-9)


def test_eigenvalues_are_those_of_gamma_in_feature_space():
    _, gram, gamma = _linear()
    expected = np.sort(np.linalg.eigvalsh(gamma))
    found = np.asarray(jnp.linalg.eigvalsh(contrastive_kernel(jnp.asarray(gram))))
    nonzero = found[np.argsort(np.abs(found))[-len(expected) :]]
    np.testing.assert_allclose(np.sort(nonzero), expected, atol=1e-13)


def test_half_of_the_eigenvalues_are_positive_where_the_gram_matrix_is_regular():
    z = _views(7, 4)
    values = jnp.linalg.eigvalsh(contrastive_kernel(jnp.asarray(_gaussian_kernel(z, z))))
    assert int(jnp.sum(values > 0)) == 7
    assert int(jnp.sum(values < 0)) == 7


@pytest.mark.parametrize("method", METHODS)
def test_modes_solve_the_eigenproblem_without_square_roots(method):
    n, z = PAIRS, _views()
    gram = _gaussian_kernel(z, z)
    modes = contrastive_modes(jnp.asarray(gram), DIM, method=method)
    c, values = np.asarray(modes.coefficients), np.asarray(modes.eigenvalues)
    np.testing.assert_allclose(_swapped(n) @ gram @ c, 2 * n * values * c, atol=1e-8)
    np.testing.assert_allclose(c.T @ gram @ c, np.eye(DIM), atol=1e-9)
    general = scipy.linalg.eigh(gram @ _swapped(n) @ gram / (2 * n), gram, eigvals_only=True)
    np.testing.assert_allclose(values, general[::-1][:DIM], rtol=1e-10)
    assert np.all(np.diff(values) < 0)
    assert np.all(modes.residual < 1e-9 * values[0])


@pytest.mark.parametrize("method", METHODS)
def test_final_embedding_has_zero_loss_on_the_pairs(method):
    n, z = PAIRS, _views()
    gram = jnp.asarray(_gaussian_kernel(z, z))
    modes = contrastive_modes(gram, DIM, method=method)
    f = np.asarray(embed(modes, gram))
    correlation = (f[:n].T @ f[n:] + f[n:].T @ f[:n]) / (2 * n)
    np.testing.assert_allclose(correlation, np.eye(DIM), atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_linear_kernel_embeds_unseen_points_as_the_linear_model_does(method):
    """W = diag(gamma^{-1/2}) Gamma^(<=d), also where 2n > m makes the Gram matrix singular."""
    z, gram, gamma = _linear()
    modes = contrastive_modes(jnp.asarray(gram), 3, method=method)
    values, vectors = (a[..., ::-1][..., :3] for a in np.linalg.eigh(gamma))
    unseen = np.random.default_rng(1).normal(size=(9, 6))
    found = np.asarray(embed(modes, jnp.asarray(unseen @ z.T)))
    expected = unseen @ vectors / np.sqrt(values)
    np.testing.assert_allclose(modes.eigenvalues, values, rtol=1e-10)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-8)


def test_singular_gram_matrix_is_said_to_be_so():
    _, gram, _ = _linear()
    z = _views()
    twice = np.concatenate([z[:9], z[:1], z[10:]])  # one point used twice
    regular, repeated = (jnp.asarray(_gaussian_kernel(p, p)) for p in (z, twice))
    assert int(contrastive_modes(jnp.asarray(gram), DIM).rank) == 6
    assert int(contrastive_modes(repeated, DIM).rank) == 39
    assert int(contrastive_modes(regular, DIM).rank) == 40
    assert int(contrastive_modes(regular, DIM, method="iterative").rank) == -1
    both = [contrastive_modes(repeated, DIM, method=method).eigenvalues for method in METHODS]
    np.testing.assert_allclose(both[0], both[1], rtol=1e-10)


def test_identical_views_give_whitened_uncentred_kernel_pca():
    n, x = PAIRS, _views()[:PAIRS]
    gram = jnp.asarray(_gaussian_kernel(np.concatenate([x, x]), np.concatenate([x, x])))
    values, vectors = (a[..., ::-1][..., :DIM] for a in np.linalg.eigh(_gaussian_kernel(x, x) / n))
    modes = contrastive_modes(gram, DIM)
    np.testing.assert_allclose(modes.eigenvalues, values, rtol=1e-12)
    z = np.asarray(embed(modes, gram))[:n]
    np.testing.assert_allclose(np.abs(z), np.abs(vectors) * np.sqrt(n), atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_two_networks_have_the_singular_values_of_the_product_of_roots(method):
    n, z = PAIRS, _views()
    a, b = _gaussian_kernel(z[:n], z[:n]), _gaussian_kernel(2 * z[n:], 2 * z[n:])
    gram = jnp.asarray(scipy.linalg.block_diag(a, b))
    product = scipy.linalg.sqrtm(a) @ scipy.linalg.sqrtm(b)
    expected = np.linalg.svd(product, compute_uv=False) / (2 * n)
    modes = contrastive_modes(gram, DIM, method=method)
    np.testing.assert_allclose(modes.eigenvalues, expected[:DIM], rtol=1e-10)
    spectrum = np.asarray(jnp.linalg.eigvalsh(contrastive_kernel(gram)))
    np.testing.assert_allclose(spectrum, np.sort(np.r_[expected, -expected]), atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_three_views_take_any_symmetric_pairing(method):
    n, features = 10, 7
    generator = np.random.default_rng(2)
    common = generator.normal(size=(n, features))
    views = [common + 0.5 * generator.normal(size=(n, features)) for _ in range(3)]
    z = np.concatenate(views)
    pairing = np.kron(np.ones((3, 3)) - np.eye(3), np.eye(n)) / (6 * n)
    gamma = sum(views[i].T @ views[j] for i in range(3) for j in range(3) if i != j) / (6 * n)
    gram = jnp.asarray(z @ z.T)
    modes = contrastive_modes(gram, DIM, pairing=jnp.asarray(pairing), method=method)
    expected = np.linalg.eigvalsh(gamma)[::-1][:DIM]
    np.testing.assert_allclose(modes.eigenvalues, expected, rtol=1e-10)


def test_pairing_may_be_a_function_and_its_kernel_is_the_congruent_one():
    z = _views()
    gram = jnp.asarray(_gaussian_kernel(z, z))
    weights = jnp.asarray(np.random.default_rng(0).uniform(0.5, 1.5, PAIRS))
    pairing = swap(PAIRS) * jnp.tile(weights, 2)[:, None]
    modes = contrastive_modes(gram, DIM, pairing=lambda v: pairing @ v)
    kernel = np.asarray(contrastive_kernel(gram, pairing))
    root = scipy.linalg.sqrtm(np.asarray(gram))
    np.testing.assert_allclose(kernel, root @ pairing @ root, atol=1e-10)
    np.testing.assert_allclose(
        modes.eigenvalues, np.linalg.eigvalsh(kernel)[::-1][:DIM], rtol=1e-10
    )


def test_products_alone_are_enough_and_are_traced_once():
    traces = []

    def product(rows, v):
        traces.append(v.shape)
        return rows @ (rows.T @ v)

    z, _, gamma = _linear()
    modes = contrastive_modes(
        Partial(product, jnp.asarray(z)), DIM, size=len(z), method="iterative"
    )
    np.testing.assert_allclose(modes.eigenvalues, np.linalg.eigvalsh(gamma)[::-1][:DIM], rtol=1e-10)
    assert int(modes.steps) <= 8
    seen = len(traces)
    for seed in range(2):
        rows = Partial(product, jnp.asarray(_views(seed=seed)))
        contrastive_modes(rows, DIM, size=len(z), method="iterative")
    assert len(traces) == seen


def test_multiple_eigenvalues_are_all_found():
    """A single start vector would find 3 once, and then 2."""
    gram = jnp.diag(jnp.concatenate([jnp.full(3, 3.0), jnp.linspace(1.0, 2.0, 27)]))
    modes = contrastive_modes(gram, DIM, pairing=jnp.eye(30), method="iterative")
    np.testing.assert_allclose(modes.eigenvalues, 3, rtol=1e-12)
    coefficients = np.asarray(modes.coefficients)
    np.testing.assert_allclose(coefficients.T @ gram @ coefficients, np.eye(DIM), atol=1e-9)


def test_restarts_keep_the_convergence_on_a_slow_spectrum():
    size = 400
    diagonal = jnp.linspace(1.0, 2.0, size)[:, None]
    start = jax.random.normal(jax.random.key(0), (size, 4))
    ritz = lanczos.largest(
        lambda v: diagonal * v, lambda v: v, start, dim=3, tolerance=1e-8, steps=300, depth=6
    )
    assert bool(ritz.converged)
    assert int(ritz.steps) > 3 * 6  # the basis was restarted more than once
    np.testing.assert_allclose(ritz.eigenvalues, diagonal[::-1][:3, 0], rtol=1e-10)
    assert np.all(ritz.residual < 1e-7)


def test_residual_bounds_the_distance_to_an_eigenvalue():
    z = _views()
    gram = jnp.asarray(_gaussian_kernel(z, z))
    exact = np.asarray(contrastive_modes(gram, DIM).eigenvalues)
    loose = contrastive_modes(gram, DIM, method="iterative", tolerance=3e-2)
    norms = jnp.sum(loose.coefficients * (gram @ loose.coefficients), axis=0)
    np.testing.assert_allclose(norms, 1, rtol=1e-12)
    error = np.abs(np.asarray(loose.eigenvalues) - exact)
    assert error.max() > 1e-12 * exact[0]
    assert np.all(error <= np.asarray(loose.residual))
    assert np.all(np.asarray(loose.residual) <= 4.5e-2 * exact[0])


def test_convergence_does_not_depend_on_the_units_of_the_kernel():
    z = _views()
    gram = jnp.asarray(_gaussian_kernel(z, z))
    plain, scaled = (contrastive_modes(s * gram, DIM, method="iterative") for s in (1, 2**20))
    np.testing.assert_allclose(scaled.eigenvalues, 2**20 * plain.eigenvalues, rtol=1e-12)
    assert int(plain.steps) == int(scaled.steps)


def test_space_that_ends_inside_a_block_is_exhausted_without_false_directions():
    diagonal = jnp.array([4.0, 3.0, 2.0, 1.0, 0.0, 0.0])[:, None]
    start = jax.random.normal(jax.random.key(0), (6, 3))
    ritz = lanczos.largest(
        lambda v: diagonal * v, lambda v: v, start, dim=3, tolerance=1e-10, steps=20
    )
    np.testing.assert_allclose(ritz.eigenvalues, [4, 3, 2], rtol=1e-12)
    assert int(ritz.steps) <= 7


def test_iterative_answer_does_not_depend_on_the_key():
    z = _views()
    gram = jnp.asarray(_gaussian_kernel(z, z))
    first, second = (
        contrastive_modes(gram, DIM, method="iterative", key=jax.random.key(seed))
        for seed in (0, 1)
    )
    np.testing.assert_allclose(first.eigenvalues, second.eigenvalues, rtol=1e-12)
    np.testing.assert_allclose(
        np.abs(first.coefficients), np.abs(second.coefficients), rtol=1e-5, atol=1e-7
    )


@pytest.mark.float32
@pytest.mark.parametrize("method", METHODS)
def test_single_precision_is_right_to_its_rounding(method):
    z = _views(100, 10)
    gram = _gaussian_kernel(z, z)
    symmetric = np.linalg.cholesky(gram)
    symmetric = symmetric.T @ np.roll(symmetric, 100, axis=0) / 200
    expected = np.linalg.eigvalsh(symmetric)[::-1][:5]
    modes = contrastive_modes(jnp.asarray(gram, jnp.float32), 5, method=method)
    assert modes.coefficients.dtype == jnp.float32
    np.testing.assert_allclose(modes.eigenvalues, expected, atol=200 * 6e-8 * expected[0])


@pytest.mark.float32
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [6, 40])
def test_eigenvalues_that_are_rounding_are_no_modes(n, dtype, method):
    """The kernel of second views is 0: B J B = 0 for B = K^(1/2)."""
    z = np.random.default_rng(0).standard_normal((n, 60))
    gram = np.zeros((2 * n, 2 * n))
    gram[:n, :n] = z @ z.T
    with jax.enable_x64(dtype == np.float64):
        for dim in (1, 2, 3, 5):
            with pytest.raises(InputError, match="only 0 modes are positive"):
                contrastive_modes(jnp.asarray(gram, dtype), dim, method=method)


@pytest.mark.parametrize("method", METHODS)
def test_more_modes_than_are_positive_are_refused_with_their_number(method):
    _, gram, gamma = _linear(DISAGREEING)
    assert np.sum(np.linalg.eigvalsh(gamma) > 0) == 2
    with pytest.raises(InputError, match="dim is 3 but only 2 modes are positive: ask for at most"):
        contrastive_modes(jnp.asarray(gram), DIM, method=method)
    with pytest.raises(InputError, match="only 0 modes are positive: there is nothing"):
        contrastive_modes(0 * jnp.asarray(gram), DIM, method=method)


def test_modes_beyond_the_positive_ones_embed_to_zero_under_jit():
    _, gram, gamma = _linear(DISAGREEING)
    modes = jax.jit(lambda k: contrastive_modes(k, DIM))(jnp.asarray(gram))
    np.testing.assert_allclose(modes.eigenvalues[:2], np.linalg.eigvalsh(gamma)[::-1][:2])
    assert modes.eigenvalues[2] < 1e-15
    z = np.asarray(embed(modes, jnp.asarray(gram)))
    assert np.all(z[:, 2] == 0)
    assert np.all(np.abs(z[:, :2]).max(0) > 0.1)


def test_negative_modes_are_not_learned():
    z = _views(3)
    gram = jnp.asarray(_gaussian_kernel(z, z))
    modes = jax.jit(lambda k: contrastive_modes(k, 6))(gram)
    assert np.all(modes.eigenvalues[3:] < 0)
    z = np.asarray(embed(modes, gram))
    assert np.all(z[:, 3:] == 0)
    assert np.all(np.abs(z[:, :3]).max(0) > 0.1)


@pytest.mark.parametrize("method", METHODS)
def test_indefinite_or_infinite_gram_matrices_are_refused(method):
    z = _views()
    gram = jnp.asarray(_gaussian_kernel(z, z))
    with pytest.raises(InputError, match="indefinite"):
        contrastive_modes(gram - 0.5 * jnp.eye(len(z)), DIM, method=method)
    with pytest.raises(InputError, match="not finite"):
        contrastive_modes(gram.at[1, 2].set(jnp.nan), DIM, method=method)


def test_square_root_reports_what_it_clipped():
    vectors, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))
    gram = vectors @ np.diag([2.0, 1.0, 0.0, -1e-7]) @ vectors.T
    root = square_root(jnp.asarray(gram))
    np.testing.assert_allclose(root.clipped, 5e-8, rtol=1e-6)
    assert int(root.rank) == 2
    np.testing.assert_allclose(root.root @ root.root, gram, atol=2e-7)


def test_no_convergence_is_an_error_that_says_what_to_do():
    z = _views()
    gram = jnp.asarray(_gaussian_kernel(z, z))
    with pytest.raises(InputError, match=r"no convergence in .* raise steps"):
        contrastive_modes(gram, DIM, method="iterative", steps=4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gram": jnp.ones((4, 3))}, "must be square"),
        ({"gram": jnp.ones((0, 0))}, "at least one row"),
        ({"gram": jnp.eye(3)}, "even number of rows"),
        ({"gram": jnp.eye(4), "dim": 5}, r"dim must be .* in \[1, 4\]; got 5"),
        ({"gram": jnp.eye(4), "dim": 0}, "dim must be a whole number"),
        ({"gram": jnp.eye(4), "dim": True}, "dim must be a whole number"),
        ({"gram": jnp.eye(4), "dim": "2"}, "dim must be a whole number"),
        ({"gram": jnp.eye(4), "steps": 0}, "steps must be a whole number of at least 4"),
        ({"gram": jnp.eye(4), "size": 5}, "size is 5, and the Gram matrix has 4 rows"),
        ({"gram": lambda v: v, "size": "a", "method": "iterative"}, "size must be a whole number"),
        ({"gram": [[1.0], [1.0, 2.0]]}, "the Gram matrix must be an array of real numbers"),
        ({"gram": np.triu(np.ones((4, 4)))}, "the Gram matrix is not symmetric"),
        ({"gram": jnp.eye(4), "pairing": np.triu(np.ones((4, 4)))}, "pairing is not symmetric"),
        ({"gram": jnp.eye(4), "pairing": [[1.0], [1.0, 2.0]]}, "pairing must be an array of real"),
        ({"gram": np.full((4, 4), 1e-300)}, "the Gram matrix is too small for float64, 1e-300"),
        ({"gram": jnp.eye(4), "method": "iterative", "key": 1}, "key must be a typed key"),
        ({"gram": jnp.eye(4), "method": "iterative", "tolerance": "a"}, "tolerance must be"),
        ({"gram": jnp.eye(4), "method": "iterative", "tolerance": np.nan}, "tolerance must be"),
        ({"gram": jnp.eye(4), "method": "iterative", "tolerance": 2.0}, "tolerance must be"),
        (
            {"gram": jnp.eye(4), "method": "iterative", "pairing": np.full((4, 4), np.nan)},
            "the Gram matrix or the pairing, .* not finite",
        ),
        (
            {"gram": lambda v: v[:2], "size": 4, "method": "iterative"},
            r"the Gram matrix must map \(4, 4\) to \(4, 4\); it returns \(2, 4\)",
        ),
        (
            {"gram": lambda v: None, "size": 4, "method": "iterative"},
            r"the Gram matrix must map \(4, 4\) to \(4, 4\); it returns None",
        ),
        (
            {"gram": jnp.eye(4), "pairing": lambda v: 1.0, "method": "iterative"},
            r"pairing must map .*; it returns 1.0",
        ),
        ({"gram": np.eye(4), "pairing": np.full((4, 4), np.nan)}, "the pairing, .* not finite"),
        ({"gram": jnp.eye(4), "pairing": lambda v: v[:3]}, r"pairing must map .* returns \(3, 4\)"),
        (
            {"gram": lambda v: v + 0j, "size": 4, "method": "iterative"},
            "the Gram matrix must map float64 to float64; it returns complex128",
        ),
        (
            {"gram": jnp.eye(4), "method": "iterative", "tolerance": [1e-3, 1e-3]},
            "tolerance must be one number",
        ),
        ({"gram": 1e-200 * np.eye(4), "pairing": 1e-200 * np.eye(4)}, "eigenvalues of A K are too"),
        (
            {"gram": 1e200 * np.eye(4), "pairing": 1e200 * np.eye(4), "method": "iterative"},
            "eigenvalues of A K are too large or too small for float64",
        ),
        ({"gram": -np.eye(4), "method": "iterative"}, "negative energies are the largest"),
        ({"gram": jnp.eye(4), "method": "denze"}, "did you mean 'dense'"),
        ({"gram": jnp.eye(4), "pairing": jnp.eye(3)}, r"pairing must be \(4, 4\)"),
        ({"gram": lambda v: v, "size": 4}, "needs the Gram matrix itself"),
        ({"gram": lambda v: v, "method": "iterative"}, "pass size"),
    ],
)
def test_bad_input_says_what_to_do(arguments, message):
    with pytest.raises(InputError, match=message):
        contrastive_modes(**{"dim": 1, **arguments})


@pytest.mark.parametrize("dtype", [np.uint8, jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("method", METHODS)
def test_integers_and_half_precision_are_computed_in_float(method, dtype):
    """Whole numbers up to 256 are exact in all of them, their sums are not."""
    factor = np.random.default_rng(4).integers(0, 8, (6, 4))
    gram = factor @ factor.T
    exact = jnp.asarray(gram, float)
    found = contrastive_modes(jnp.asarray(gram, dtype), 1, method=method)
    assert found.eigenvalues.dtype in (jnp.float32, jnp.float64)
    np.testing.assert_allclose(
        found.eigenvalues, contrastive_modes(exact, 1).eigenvalues, rtol=1e-3
    )
    np.testing.assert_allclose(
        contrastive_kernel(jnp.asarray(gram, dtype)), contrastive_kernel(exact), atol=0.2
    )
    pairing = jnp.eye(6, dtype=dtype)
    top = contrastive_modes(exact, 1, method=method, pairing=pairing).eigenvalues[0]
    np.testing.assert_allclose(top, np.linalg.eigvalsh(gram)[-1], rtol=1e-6)


def test_gram_matrices_of_unequal_views_are_refused():
    with pytest.raises(InputError, match="must all be"):
        two_view_gram(jnp.eye(2), jnp.ones((2, 3)), jnp.eye(3))


def test_both_methods_can_be_mapped_over_gram_matrices():
    grams = jnp.stack(
        [jnp.asarray(_gaussian_kernel(z, z)) for z in (_views(seed=1), _views(seed=2))]
    )
    for method in METHODS:
        mapped = jax.jit(jax.vmap(lambda k, m=method: contrastive_modes(k, DIM, method=m)))(grams)
        for k, values in zip(grams, mapped.eigenvalues, strict=True):
            np.testing.assert_allclose(values, contrastive_modes(k, DIM).eigenvalues, rtol=1e-10)


def test_gradient_of_an_eigenvalue_is_that_of_perturbation_theory():
    """Its change is eigenvalue c^T dK c."""
    z = _views(6, 4)
    gram = jnp.asarray(_gaussian_kernel(z, z))
    modes = contrastive_modes(gram, 1)
    gradient = jax.grad(lambda k: contrastive_modes(k, 1).eigenvalues[0])(gram)
    c = modes.coefficients[:, 0]
    np.testing.assert_allclose(gradient, modes.eigenvalues[0] * jnp.outer(c, c), atol=1e-9)


def test_one_program_serves_all_gram_matrices_of_a_shape():
    before = dense.diagonalise._cache_size()
    for seed in range(3):
        z = jnp.asarray(_views(11, seed=seed))
        contrastive_modes(z @ z.T, 2)
    assert dense.diagonalise._cache_size() == before + 1


@pytest.mark.float32
@pytest.mark.parametrize("dtype", ["int8", "float16", "bfloat16"])
def test_gram_matrices_of_integers_and_half_precision_are_computed_with_in_float32(dtype):
    z = np.random.default_rng(0).integers(-3, 4, (8, 3))
    low, exact = (jnp.asarray(z @ z.T, d) for d in (dtype, "float32"))
    for method in METHODS:
        found, expected = (contrastive_modes(g, 1, method=method) for g in (low, exact))
        np.testing.assert_allclose(found.eigenvalues, expected.eigenvalues, rtol=1e-5)
        np.testing.assert_allclose(embed(found, low), embed(found, exact), rtol=1e-5)
    np.testing.assert_allclose(contrastive_kernel(low), contrastive_kernel(exact), atol=1e-5)
    assert square_root(low).rank == 3


def test_a_mode_that_is_nan_is_not_embedded_as_unlearned():
    modes = contrastive_modes(jnp.eye(4), 1)
    assert np.isnan(embed(modes._replace(eigenvalues=jnp.array([jnp.nan])), jnp.eye(4))).all()


def test_what_cannot_be_embedded_is_refused():
    gram = jnp.eye(4)
    modes = contrastive_modes(gram, 1)
    assert embed(modes, gram.tolist()).shape == (4, 1)
    with pytest.raises(InputError, match="modes must be what contrastive_modes returns; got None"):
        embed(None, gram)
    many = jax.vmap(lambda k: contrastive_modes(k, 1))(jnp.stack([gram, gram]))
    with pytest.raises(InputError, match=r"map with jax\.vmap"):
        embed(many, gram)
    with jax.enable_x64(False), pytest.raises(InputError, match="pairing is 0 in float32"):
        contrastive_modes(np.eye(4, dtype=np.float32), 1, pairing=1e-50 * np.eye(4))
    with pytest.raises(InputError, match=r"cross must be \(q, 4\), .*; got \(4, 3\)"):
        embed(modes, gram[:, :3])


def test_grams_of_views_may_be_lists():
    assert two_view_gram([[1.0]], [[0.5]], [[1.0]]).tolist() == [[1, 0.5], [0.5, 1]]
    for gram, pairing, said in (
        (np.triu(np.ones((4, 4))), None, "not symmetric"),
        (1e-300 * np.eye(4), None, "too small for float64"),
        (np.eye(4), np.full((4, 4), np.nan), "not finite"),
        (np.eye(4), lambda v: v[:2], "pairing must map"),
        (lambda v: v, None, "needs the Gram matrix itself"),
    ):
        with pytest.raises(InputError, match=said):
            contrastive_kernel(gram, pairing)


def test_a_tolerance_that_hides_modes_is_named():
    gram = jnp.diag(jnp.asarray([1.0, 0.5, 0.01, 0.01, 0.01, 0.01]))
    with pytest.raises(InputError, match=r"lower tolerance"):
        contrastive_modes(gram, 4, method="iterative", tolerance=0.05, pairing=jnp.eye(6))


@pytest.mark.parametrize("method", METHODS)
def test_modes_do_not_depend_on_the_scale_of_the_pairing(method):
    gram, swap = jnp.diag(jnp.arange(1.0, 9.0)), jnp.asarray(np.roll(np.eye(8), 4, 0))
    plain = contrastive_modes(gram, 2, method=method, pairing=swap)
    for scale in (1e-200, 1e200):
        found = contrastive_modes(gram, 2, method=method, pairing=scale * swap)
        np.testing.assert_allclose(found.eigenvalues / scale, plain.eigenvalues, rtol=1e-9)
        np.testing.assert_allclose(found.residual / scale, 0, atol=1e-9)
