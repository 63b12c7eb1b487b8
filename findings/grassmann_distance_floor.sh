#!/usr/bin/env bash
# pymanopt 2.2.1: the Grassmann distance of two subspaces has a floor near 1e-8. Below that angle it is
# either exactly 0 or about 2e-8, although the logarithm of the same pair has the right length.
#
# Behaviour: dist(x, y) is the norm of arccos of the singular values of x^T y. The cosine of a small
#   angle rounds to 1 or to 1 - 1e-16, so that the angle is lost; at 1e-4 half of the digits are lost.
#   log(x, y) uses the sine as well and keeps its digits, so dist(x, exp(x, v)) = |v| fails for small v.
# Consequence: a stopping rule or a convergence rate that is read from dist levels off near 1e-8.
#   norm(x, log(x, y)) has no such floor.
# Output seen (the rounding decides the second column of the last row):
#   angle 1e-04 dist 1.00000003e-04 log 1.00000000e-04
#   angle 1e-09 dist 2.10734243e-08 log 1.00000002e-09
# Fails if this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install -q --disable-pip-version-check pymanopt==2.2.1 numpy==2.2.6 scipy==1.15.3
"$folder/env/bin/python" - <<'PYTHON'
import numpy as np
from pymanopt.manifolds import Grassmann

columns = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 6)))[0]
x, normal = columns[:, :3], columns[:, 3:]
manifold = Grassmann(8, 3)
for angle, lost in ((1e-4, 1e-9), (1e-9, 0.9)):
    y = x * np.cos([0, 0, angle]) + normal * np.sin([0, 0, angle])
    distance, length = manifold.dist(x, y), np.linalg.norm(manifold.log(x, y))
    print(f"angle {angle:.0e} dist {distance:.8e} log {length:.8e}")
    assert abs(distance / angle - 1) > lost, "dist no longer loses the angle"
    assert abs(length / angle - 1) < 1e-5, "log no longer keeps the angle"
PYTHON
