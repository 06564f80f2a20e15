"""How the points of a plane, of a relief and of a bent sheet may move between two pictures; pure."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_KNOTS = 7


def plane_ways(first: Array, root: Array) -> Array:
    """How a plane's points may move: the eight ways of a homography; (2 n, 8)."""
    x, y = first.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    across = np.column_stack([x, y, one, zero, zero, zero, x * x, x * y])
    down = np.column_stack([zero, zero, zero, x, y, one, x * y, y * y])
    return np.asarray(np.concatenate([across, down]) * np.concatenate([root, root])[:, None], np.float64)


def depth_ways(surfaces: Array, root: Array, first: Array | None = None) -> Array:
    """How points of these depths may move: across, down and, with `first`, outwards as they come nearer."""
    weighted = surfaces * root[:, None]
    nothing = np.zeros_like(weighted)
    ways = [np.concatenate([weighted, nothing]), np.concatenate([nothing, weighted])]
    if first is not None:
        ways.append(np.concatenate([weighted * first[:, :1], weighted * first[:, 1:]]))
    return np.column_stack(ways)


def bends(along: Array) -> Array:
    """Any bend along one direction: pieces of straight lines between knots; (n, knots)."""
    knots = np.unique(np.quantile(along, np.linspace(0, 1, _KNOTS)))
    return np.column_stack([np.interp(along, knots, row) for row in np.eye(len(knots))])


def orthonormal(columns: Array, base: Array | None = None) -> Array:
    """A basis of what the columns span beside `base`."""
    if base is not None:
        columns = columns - base @ (base.T @ columns)
        columns = columns - base @ (base.T @ columns)
    basis, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(basis[:, sizes > 1e-6 * max(float(sizes[0]), 1e-9)], np.float64)
