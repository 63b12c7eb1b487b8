#!/usr/bin/env bash
# geomstats 2.8.0 and pymanopt 2.2.1 give distances on the same Grassmannian that differ by sqrt(2),
# and geomstats states an injectivity radius that is in the other library's units.
#
# Behaviour: geomstats represents a subspace by its projector and uses the Frobenius metric there, so
#   its distance is sqrt(2) |angles|; pymanopt represents it by a basis and returns |angles|. Both
#   call the metric canonical. geomstats' injectivity_radius() is pi/2, the radius in |angles|; in its
#   own metric the radius is pi / sqrt(2) = 2.221: exp and log are inverse to each other at 1.98.
# Consequence: learning rates, trust regions and gaps that are given as distances do not carry over
#   from one library to the other; within geomstats, a radius check refuses valid pairs.
# Output seen: angle 1.4: pymanopt 1.4000, geomstats 1.9799, stated radius 1.5708, exp(log) error 1e-15
# geomstats needs NumPy below 2 (it imports numpy.trapz).
# Fails if this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install -q --disable-pip-version-check pymanopt==2.2.1 geomstats==2.8.0 numpy==1.26.4 scipy==1.13.1
GEOMSTATS_BACKEND=numpy "$folder/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from geomstats.geometry.grassmannian import Grassmannian
from pymanopt.manifolds import Grassmann

columns = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 6)))[0]
x, normal = columns[:, :3], columns[:, 3:]
angles = np.array([0.0, 0.0, 1.4])
y = x * np.cos(angles) + normal * np.sin(angles)
ours, theirs = Grassmann(8, 3).dist(x, y), Grassmannian(8, 3).metric
distance = float(theirs.dist(x @ x.T, y @ y.T))
back = theirs.exp(theirs.log(y @ y.T, x @ x.T), x @ x.T)
error, radius = np.abs(back - y @ y.T).max(), float(np.max(theirs.injectivity_radius()))
print(f"angle 1.4: pymanopt {ours:.4f}, geomstats {distance:.4f}, stated radius {radius:.4f}, exp(log) error {error:.0e}")
assert abs(ours - 1.4) < 1e-6 and abs(distance / ours - 2**0.5) < 1e-6, "the ratio is no longer sqrt(2)"
assert abs(radius - np.pi / 2) < 1e-12 and distance > radius and error < 1e-12, "the radius changed"
PYTHON
