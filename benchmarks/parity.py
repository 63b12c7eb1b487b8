"""What lightly, stable-pretraining, reptrix and embedding-quality compute under the same names.

    uv run python -m benchmarks.parity    # installs the peers in a temporary folder: two minutes

All get one fixed embedding. The table has their value, that of jssl, and that of their definition
evaluated here, which has to agree with theirs: so the reason that the table gives for a difference
is the whole reason. Writes results/parity.json and results/parity.md.
"""

import json
import os
import pathlib
import subprocess
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from jssl import diagnostics

RESULTS = pathlib.Path(__file__).parent / "results"
PEERS = {
    "lightly": "1.6.0",
    "stable-pretraining": "0.1.8",
    "reptrix": "0.1.0",
    "embedding-quality": "0.1.1",
    "torch": "2.13.0",
}
SAMPLES, VIEWS, DIM, CLASSES = 400, 10, 128, 10
AGREES = 1e-6


def embedding() -> tuple[np.ndarray, np.ndarray]:
    """Return views (samples, views, dim) of ten Gaussian classes, and labels; spectrum 1 / j."""
    draws = np.random.default_rng(0)
    labels = draws.integers(0, CLASSES, SAMPLES)
    scales = np.arange(1, DIM + 1) ** -0.5
    code = (draws.normal(size=(CLASSES, DIM))[labels] + draws.normal(size=(SAMPLES, DIM))) * scales
    noise = draws.normal(size=(SAMPLES, VIEWS, DIM)) * np.arange(1, DIM + 1) ** -0.25
    turn = np.linalg.qr(draws.normal(size=(DIM, DIM)))[0]
    return (code[:, None] + 0.3 * noise + 0.2) @ turn, labels


def smoothed_rank(values: np.ndarray, epsilon: float) -> float:
    """Return exp of the entropy of shares to which a small number is added."""
    p = values / values.sum() + epsilon
    return float(np.exp(-np.sum(p * np.log(p))))


class Definitions:
    """Every metric as jssl defines it and as its peers do, on one embedding."""

    def __init__(self, clouds: np.ndarray, labels: np.ndarray):
        self.clouds, self.labels = clouds, labels
        self.z, self.second = clouds[:, 0], clouds[:, 1]
        self.values = np.linalg.svd(self.z, compute_uv=False)
        centred = self.z - self.z.mean(0)
        self.variances = np.linalg.svd(centred, compute_uv=False) ** 2 / len(self.z)
        self.unit = self.z / np.linalg.norm(self.z, axis=1, keepdims=True)
        self.half = len(labels) // 2
        means = clouds.mean(1)
        apart, noise = means - means.mean(0), (clouds - means[:, None]).reshape(-1, DIM)
        self.between, self.within = apart.T @ apart, noise.T @ noise

    def scatter_ratio(self, between: np.ndarray, within: np.ndarray, ridge: float) -> np.ndarray:
        """Return w^(-1/2) b w^(-1/2) with w = within + ridge."""
        values, vectors = np.linalg.eigh(within + ridge * np.eye(DIM))
        root = (vectors / np.sqrt(values)) @ vectors.T
        return np.asarray(root @ between @ root)

    def lidar_of_stable_pretraining(self) -> float:
        """Unbiased covariances, an absolute ridge of 1e-4."""
        between, within = self.between / (SAMPLES - 1), self.within / (SAMPLES * (VIEWS - 1))
        found = np.linalg.eigvalsh(self.scatter_ratio(between, within, 1e-4))
        return smoothed_rank(np.maximum(found, 0) + 1e-8, 0)

    def lidar_of_reptrix(self) -> float:
        """Variances of the rows of the matrix, whose scatter between samples is a sum."""
        matrix = self.scatter_ratio(self.between, self.within / SAMPLES, 1e-6)
        values = np.linalg.svd(matrix - matrix.mean(0), compute_uv=False) ** 2
        return smoothed_rank(values, 1e-7)

    def votes(self) -> float:
        """200 neighbours with weights exp(cosine / 0.1)."""
        cosines = self.unit[self.half :] @ self.unit[: self.half].T
        weights = np.exp(cosines / 0.1)
        classes = np.eye(CLASSES)[self.labels[: self.half]]
        return float(np.mean((weights @ classes).argmax(1) == self.labels[self.half :]))

    def uniformity(self, sharpness: float) -> float:
        """Return the uniformity of jssl."""
        return float(diagnostics.uniformity(self.z, sharpness=sharpness).value)

    def neighbours(self) -> float:
        """Return the accuracy of 20 neighbours of jssl."""
        half, labels = self.half, self.labels
        parts = self.z[:half], labels[:half], self.z[half:], labels[half:]
        return float(diagnostics.knn_probe(*parts))

    def rows(self) -> list[tuple[str, str, float, float, str]]:
        """Return (peer, metric of jssl, its value, value of the peer's definition, difference)."""
        rankme = float(diagnostics.rankme(self.z))
        alpha: Callable[..., Any] = diagnostics.alpha_req
        alignment = float(diagnostics.alignment(self.z, self.second).value)
        leading = float(self.variances[0] / self.variances.sum())
        spread = float(1 - np.square(self.unit.mean(0)).sum())
        lidar = float(diagnostics.lidar(self.clouds))
        return [
            ("stable-pretraining RankMe", "RankMe", rankme, smoothed_rank(self.values, 1e-5),
             "adds 1e-5 to every share, so that the shares sum to more than 1"),
            ("embedding-quality RankMe", "RankMe", rankme, smoothed_rank(self.values, 1e-7),
             "adds 1e-7 to every share, as the paper does"),
            ("reptrix get_rankme", "RankMe", rankme, smoothed_rank(self.variances, 1e-7),
             "takes the eigenvalues of the covariance: squares of the singular values, centred"),
            ("reptrix get_alpha", "alpha", float(alpha(self.variances).exponent),
             float(alpha(self.variances, first=11, last=100).exponent),
             "fits the eigenvalues 11 to 100; jssl fits all, and takes first and last"),
            ("stable-pretraining LiDAR", "LiDAR", lidar, self.lidar_of_stable_pretraining(),
             "adds 1e-4 itself and not a share of the variance; divides by N - 1 and N (q - 1)"),
            ("reptrix get_lidar", "LiDAR", lidar, self.lidar_of_reptrix(),
             "takes the variances of the rows of the matrix: squared eigenvalues, centred"),
            ("lightly HypersphereLoss, alignment", "alignment", alignment, alignment,
             "the same"),
            ("lightly HypersphereLoss, uniformity", "uniformity", self.uniformity(2.0),
             self.uniformity(1.0), "has the factor 1 in the exponent and not 2"),
            ("lightly std_of_l2_normalized", "1 less the mean cosine", spread,
             float(self.unit.std(0, ddof=1).mean()),
             "the mean over columns of the standard deviation of the same rows"),
            ("lightly knn_predict", "nearest-neighbour accuracy", self.neighbours(), self.votes(),
             "200 neighbours with weights exp(10 cosine); jssl counts 20"),
            ("embedding-quality NESum", "leading share", leading, 1 / leading, "its inverse"),
            ("embedding-quality Stable_rank", "leading share", leading,
             float(np.square(self.values).sum() / self.values[0] ** 2),
             "its inverse, not centred"),
        ]  # fmt: skip


def main() -> None:
    """Compare all metrics; raise where a definition that the table states is not the peer's."""
    clouds, labels = embedding()
    found = _of_peers(clouds, labels)
    names = ("peer", "metric", "jssl", "their definition", "difference")
    rows: list[dict[str, Any]] = [
        dict(zip(names, row, strict=True)) | {"theirs": found[row[0]]}
        for row in Definitions(clouds, labels).rows()
    ]
    wrong = [
        row["peer"]
        for row in rows
        if not np.isclose(row["theirs"], row["their definition"], AGREES)
    ]
    if wrong or len(rows) != len(found):
        message = f"the stated definition is not that of {', '.join(wrong) or 'a peer'}"
        raise RuntimeError(message)
    RESULTS.mkdir(exist_ok=True)
    content = {"versions": PEERS, "rows": rows}
    (RESULTS / "parity.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    write_table(content, RESULTS / "parity.md")


def write_table(content: dict[str, Any], path: pathlib.Path) -> None:
    """Write the table in Markdown."""
    versions = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    lines = [
        f"Versions: {versions}.",
        "",
        "| theirs | value | metric of jssl | value | what they do differently |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['peer']} | {row['theirs']:.5g} | {row['metric']} | {row['jssl']:.5g} | "
        f"{row['difference']} |"
        for row in content["rows"]
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _of_peers(clouds: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the values of the peers, in a temporary environment that is removed."""
    script = pathlib.Path(__file__).with_name("parity_peers.py")
    with tempfile.TemporaryDirectory() as folder:
        python, data = pathlib.Path(folder, "peers", "bin", "python"), f"{folder}/embedding.npz"
        uv = [os.environ.get("UV", "uv")]  # `uv run` names itself there
        subprocess.run([*uv, "venv", "--quiet", f"{folder}/peers"], check=True)
        pinned = [f"{name}=={version}" for name, version in PEERS.items()]
        install = [*uv, "pip", "install", "--quiet", "--python", str(python), *pinned]
        subprocess.run(install, check=True)
        np.savez(data, clouds=clouds, labels=labels)
        found = pathlib.Path(folder, "found.json")
        run = [str(python), "-P", "-W", "ignore", str(script), data, str(found)]
        subprocess.run(run, check=True, cwd=folder)
        return dict(json.loads(found.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
