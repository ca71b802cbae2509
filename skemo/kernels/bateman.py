"""The model of cvxEDA: nerve activity filtered by a Bateman function, plus splines and a line."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.signal
import scipy.sparse
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import NDArray

_MIN_RATE, _MAX_RATE = 28, 80  # Hz, of the blocks of samples that stand for a faster signal
_MIN_BLOCKS_PER_KNOT = 8  # from one knot to the next
_MIN_BLOCKS = 64  # per window, if it has that many samples
_NEGLIGIBLE = 1e-7  # share of its peak below which a spline is taken not to reach a piece
_RIDGE = 1e-10  # on the states before the first block, which a few blocks do not determine


def samples_per_block(sampling_rate: float, n_times: int, n_knot: int) -> int:
    """Return the samples per block that give blocks at 28 to 80 Hz, with few samples left over."""
    most = min(int(sampling_rate // _MIN_RATE), n_times // _MIN_BLOCKS)
    most = min(most, n_knot // _MIN_BLOCKS_PER_KNOT)
    least = min(int(np.ceil(sampling_rate / _MAX_RATE)), most)
    blocks = range(max(least, 1), max(most, 1) + 1)
    return min(blocks, key=lambda n_block: ((n_times - 2) % n_block, -n_block))


@lru_cache(maxsize=2)
def bateman_model(
    n_times: int,
    sampling_rate: float,
    tau0: float,
    tau1: float,
    knot_spacing: float,
    gamma: float,
) -> "BatemanModel":
    """Return the `BatemanModel` with these parameters, and cache it."""
    return BatemanModel(n_times, sampling_rate, tau0, tau1, knot_spacing, gamma)


class BatemanModel:
    """The problem of cvxEDA for windows of one length, cut into pieces that are solved together.

    The model represents a window y by its first two samples, which have no phasic part, and by
    the means of the blocks of samples that follow. With the driver p = A q, at the beginnings of
    blocks, the objective, divided by the number of samples per block, is

        |M q + B u - y|^2 / 2 + |first two, B u - y|^2 / 2 + alpha 1'p + gamma |l|^2 / 2,

    where the weights u of the splines are the sum of l and of the weights for which the splines
    form a straight line.

    Blocks are arranged as rows (n_rows, n_pieces, n_windows): the blocks of a piece in order, where
    a piece is about as long as the distance between two knots. Row i of a piece depends on q[i],
    q[i + 1] and q[i + 2] of that piece, so q has the shape (n_rows + 2, n_pieces, n_windows), and
    the last two q of a piece are the first two of the next. Rows beyond the last block have weight
    0. The unknowns that pieces share form x: the first two q of each piece, and the last two of
    all; l; and the two weights of the line, which come last.

    Parameters
    ----------
    n_times : int
        Number of samples per window, at least 3.
    sampling_rate : float
        In hertz, above 1 / (2 * tau1).
    tau0, tau1, knot_spacing, gamma : float
        As for :func:`skemo.kernels.cvxeda.cvxeda`.
    """

    def __init__(
        self,
        n_times: int,
        sampling_rate: float,
        tau0: float,
        tau1: float,
        knot_spacing: float,
        gamma: float,
    ) -> None:
        self.n_times = n_times
        self.n_knot = max(1, round(knot_spacing * sampling_rate))
        self.n_block = samples_per_block(sampling_rate, n_times, self.n_knot)
        self.n_blocks = (n_times - 2) // self.n_block
        self.n_splines = -(-n_times // self.n_knot)
        # Rows of weight 0 for the first two samples make the pieces begin at knots.
        self.n_before = 2 // self.n_block
        stop = self.n_before + self.n_blocks
        self.n_rows = max(3, min(self.n_knot // self.n_block, stop))
        self.n_pieces = -(-stop // self.n_rows)
        self.weight = self._to_rows(np.ones((1, self.n_blocks)))
        self._design_filters(np.array([1 / tau0, 1 / tau1]) / sampling_rate, sampling_rate)
        self._lay_splines()
        self._number()
        self.penalty = np.sqrt(gamma / self.n_block)
        of_first = 2 * self.n_pieces + np.arange(self.n_local) * self.n_pieces
        first = self._splines_at(np.arange(2), 1, self.lowest[0]) / np.sqrt(self.n_block)
        first = scipy.sparse.csr_array(first) @ self.border[of_first]
        ridge = scipy.sparse.csr_array(
            (np.full(self.n_splines, self.penalty), (np.arange(self.n_splines), self.of_splines)),
            (self.n_splines, self.n_x),
        )
        self.extra = scipy.sparse.vstack([first, ridge], format="csr")
        self.extra_transposed = self.extra.T.tocsr()
        self._plan_assembly()

    # Parts

    def _design_filters(self, rates, sampling_rate):
        """Express the Bateman function as a filter of samples, and exactly of means of blocks."""
        self.poles = (2 - rates) / (2 + rates)
        gain = (rates[1] - rates[0]) / sampling_rate / np.prod(2 + rates)
        self.fine = gain * np.array([1.0, 2.0, 1.0]), np.poly(self.poles)
        spike = np.zeros(3 * self.n_block)
        spike[0] = self.n_block
        response = scipy.signal.lfilter(*self.fine, spike).reshape(3, -1).mean(axis=1)
        recursion = np.poly(self.poles**self.n_block)
        response = np.convolve(response, recursion)[:3]
        # Scale M and A so that q has the size of the signal.
        self.M, self.A = response / response.sum(), recursion / response.sum()

    def _lay_splines(self):
        """Compute the cubic B-splines: four boxes as long as the knot distance, convolved."""
        spline = np.ones(self.n_knot)
        for _ in range(3):  # sums of whole numbers, which are exact and take linear time
            total = np.cumsum(np.pad(spline, (0, self.n_knot - 1)))
            total[self.n_knot :] -= total[: -self.n_knot].copy()
            spline = total
        self.spline = np.concatenate([[0.0, 0.0], spline / spline.max(), [0.0]])
        self.height = self.spline[:: self.n_knot].sum()  # of the sum of all splines
        self._cumulated = np.concatenate([[0.0], np.cumsum(self.spline)])
        begin = 2 + self.n_block * (np.arange(self.n_pieces * self.n_rows) - self.n_before)
        # `lowest` is the first spline that reaches a piece.
        start = begin[:: self.n_rows]
        stop = start + self.n_block * self.n_rows
        reach = self.n_knot * (2 - (_NEGLIGIBLE * 4) ** (1 / 3))
        self.lowest = np.ceil((start - reach) / self.n_knot).astype(int)
        highest = np.floor((stop - 1 + reach) / self.n_knot).astype(int)
        self.n_local = int((highest - self.lowest).max()) + 1
        values = self._splines_at(begin, self.n_block, np.repeat(self.lowest, self.n_rows))
        values = values.reshape(self.n_pieces, self.n_rows, self.n_local).transpose(1, 2, 0)
        self.B = values[..., np.newaxis] * self.weight[:, np.newaxis]

    def _splines_at(self, begin, n_block, lowest=0):
        """Return the means over the blocks at `begin` of the `n_local` splines from `lowest` on."""
        near = np.broadcast_to(lowest, begin.shape)[:, np.newaxis] + np.arange(self.n_local)
        first = begin[:, np.newaxis] - (near - 2) * self.n_knot
        ends = np.clip([first, first + n_block], 0, 4 * self.n_knot)
        return (self._cumulated[ends[1]] - self._cumulated[ends[0]]) / n_block

    def _number(self):
        """Number x along time, and express the unknowns at the border of each piece in terms of x.

        These are the first two q of the piece, the weights of its splines, and its last two q.
        """
        n_states = 2 * (self.n_pieces + 1)
        length = self.n_rows * self.n_block
        time = np.concatenate(
            [
                2 + length * (np.arange(n_states) // 2),
                self.n_knot * np.arange(self.n_splines) + 2.5,
            ]
        )
        place = np.empty(len(time), int)
        place[np.argsort(time, kind="stable")] = np.arange(len(time))
        self.of_states, self.of_splines = place[:n_states], place[n_states:]
        self.n_banded, self.n_x = len(time), len(time) + 2
        pairs, n_local = self.of_states.reshape(-1, 2).T, self.n_local
        none = np.zeros((2, self.n_pieces, 2), int)
        near = self.lowest + np.arange(n_local)[:, np.newaxis]
        used = (near >= 0) & (near < self.n_splines)
        own = self.of_splines[np.clip(near, 0, self.n_splines - 1)]
        line = np.broadcast_to([self.n_banded, self.n_banded + 1], (*near.shape, 2))
        share = np.stack([np.ones(near.shape), 2 * near / self.n_splines - 1], axis=-1)
        # Each is a sum of at most three terms in x: (unknown, piece, term).
        self._terms = np.concatenate(
            [
                np.concatenate([pairs[:, :-1, np.newaxis], none], axis=2),
                np.concatenate([own[..., np.newaxis], line], axis=2),
                np.concatenate([pairs[:, 1:, np.newaxis], none], axis=2),
            ]
        )
        single = np.zeros((2, self.n_pieces, 3))
        single[..., 0] = 1
        self._factors = np.concatenate(
            [single, np.concatenate([used[..., np.newaxis], share], axis=2), single]
        )
        row = np.indices(self._terms.shape[:2]).reshape(2, -1)
        row = np.repeat(row[0] * self.n_pieces + row[1], 3)
        self.border = scipy.sparse.csr_array(
            (self._factors.ravel(), (row, self._terms.ravel())),
            ((n_local + 4) * self.n_pieces, self.n_x),
        )
        self.border.eliminate_zeros()
        self.border_transposed = self.border.T.tocsr()

    def _plan_assembly(self):
        """Compute the matrix from the pieces' equations to those of x: a band, and two columns."""
        n_border, n = self.n_local + 4, self.n_banded
        used = self._factors[..., 0] > 0
        first = np.where(used, self._terms[..., 0], n).min(axis=0)
        last = np.where(used, self._terms[..., 0], 0).max(axis=0)
        self.n_band = int((last - first).max())
        width = 2 * self.n_band + 1
        self.sizes = (n + self.n_band) * width, (n + self.n_band) * 2, 4

        def address(i, j):
            """Return the place of x[j]'s coefficient in equation i; -1 if redundant by symmetry."""
            banded = np.where(i >= j, j * width + i - j + self.n_band, -1)
            column = np.where(i < n, self.sizes[0] + 2 * i + j - n, -1)
            corner = self.sizes[0] + self.sizes[1] + 2 * (i - n) + j - n
            lower = np.where(i < n, banded, -1)
            return np.where(j < n, lower, np.where(i < n, column, corner))

        piece = np.arange(self.n_pieces)
        rows, columns, values = [], [], []
        for a in range(n_border):
            for b in range(a + 1):
                entry = (a * n_border + b) * self.n_pieces + piece
                for one, other in {(a, b), (b, a)}:
                    for i in range(3):
                        for j in range(3):
                            value = self._factors[one, :, i] * self._factors[other, :, j]
                            rows.append(address(self._terms[one, :, i], self._terms[other, :, j]))
                            columns.append(entry)
                            values.append(value)
        rows, columns, values = map(np.concatenate, (rows, columns, values))
        kept = (rows >= 0) & (values != 0)
        shape = sum(self.sizes), n_border**2 * self.n_pieces
        self.assemble = scipy.sparse.csr_array((values[kept], (rows[kept], columns[kept])), shape)
        gram = (self.extra.T @ self.extra).tocoo()
        where = address(gram.row, gram.col)
        kept = where >= 0
        self.fixed = np.zeros((sum(self.sizes), 1))
        np.add.at(self.fixed[:, 0], where[kept], gram.data[kept])
        ridge = self.of_states[:2]
        self.fixed[address(ridge, ridge), 0] += _RIDGE
        # The part of the pieces' equations from M and B, which does not depend on the driver.
        M, weight = self.M, self.weight
        self.fixed_band = np.zeros((self.n_rows + 2, 3, self.n_pieces, 1))
        self.fixed_band[:, 0] = adjoint(weight, M**2)
        self.fixed_band[:, 1] = adjoint(weight, [0, M[0] * M[1], M[1] * M[2]])
        self.fixed_band[:-2, 2] = M[0] * M[2] * weight
        self.cross = adjoint(self.B, M)
        self.price = adjoint(weight, self.A)
        self.gram = np.einsum("rapw,rbpw->abpw", self.B, self.B)

    # Signals

    def observe(
        self, windows: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the first two samples (2, n_windows), and the rows, of (n_windows, n_times)."""
        shape = len(windows), self.n_blocks, self.n_block
        means = windows[:, 2 : 2 + shape[1] * shape[2]].reshape(shape).mean(axis=2)
        return windows[:, :2].T / np.sqrt(self.n_block), self._to_rows(means)

    def _to_rows(self, blocks):
        """Return the rows (n_rows, n_pieces, n_windows) of blocks (n_windows, n_blocks)."""
        rows = np.zeros((len(blocks), self.n_pieces * self.n_rows))
        rows[:, self.n_before : self.n_before + self.n_blocks] = blocks
        rows = rows.reshape(len(blocks), self.n_pieces, self.n_rows)
        return np.ascontiguousarray(rows.transpose(2, 1, 0))

    def spline_weights(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weights of each piece's splines (n_local, n_pieces, n_windows)."""
        return (self.border @ x).reshape(-1, self.n_pieces, x.shape[1])[2:-2]

    def splines(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the rows of the tonic part, from weights (n_local, n_pieces, n_windows)."""
        return np.einsum("rap,apw->rpw", self.B[..., 0], weights)

    def splines_adjoint(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the product of the transpose of B with rows."""
        return np.einsum("rap,rpw->apw", self.B[..., 0], rows)

    def synthesise(
        self, driver: NDArray[np.float64], x: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the tonic and the phasic part at the full rate."""
        n_windows = driver.shape[2]
        line = x[-2:, :, np.newaxis]
        near = np.arange(-1, self.n_splines + 2)
        weights = line[0] + line[1] * (2 * near / self.n_splines - 1)
        weights[:, 1:-2] += x[self.of_splines].T
        pieces = self.spline.reshape(4, self.n_knot)[::-1]
        nearest = sliding_window_view(weights, 4, axis=1)
        tonic = (nearest @ pieces).reshape(n_windows, -1)[:, : self.n_times]
        spikes = np.zeros((n_windows, self.n_times - 2))
        blocks = driver.transpose(2, 1, 0).reshape(n_windows, -1)
        state = x[self.of_states[:2]]
        for i in range(self.n_before):
            next_q = (blocks[:, i] - self.A[1] * state[1] - self.A[2] * state[0]) / self.A[0]
            state = np.stack([state[1], next_q])
        blocks = blocks[:, self.n_before : self.n_before + self.n_blocks]
        spikes[:, : self.n_blocks * self.n_block : self.n_block] = blocks * self.n_block
        phasic = np.zeros((n_windows, self.n_times))
        phasic[:, 2:] = scipy.signal.lfilter(*self.fine, spikes)
        decays = self.poles[:, np.newaxis] ** np.arange(self.n_times - 2)
        # Add the decays, one per pole, that start from the first two q.
        poles = self.poles**self.n_block
        within = (self.poles ** np.arange(self.n_block)[:, np.newaxis]).mean(axis=0)
        gains = np.polyval(self.M, poles) / within / (poles - poles[::-1])
        for i in range(2):
            size = gains[i] * (state[1] - poles[1 - i] * state[0])
            phasic[:, 2:] += size[:, np.newaxis] * decays[i]
        return tonic, phasic


def apply(q: NDArray[np.float64], taps: Sequence[float]) -> NDArray[np.float64]:
    """Return the rows of the product of A or M with q."""
    rows = taps[0] * q[2:]
    rows += taps[1] * q[1:-1]
    rows += taps[2] * q[:-2]
    return rows


def adjoint(rows: NDArray[np.float64], taps: Any) -> NDArray[np.float64]:
    """Return the product of the transpose of A or M with rows, for each piece separately."""
    q = np.empty((len(rows) + 2, *rows.shape[1:]))
    np.multiply(taps[2], rows, out=q[:-2])
    q[-2:] = 0
    q[1:-1] += taps[1] * rows
    q[2:] += taps[0] * rows
    return q


class Arena:
    """Memory for the large arrays of a step, reused by the next step to save allocations."""

    def __init__(self, model: BatemanModel, n_windows: int) -> None:
        per_row = 2 * (model.n_local + 3) + 9
        rows = (model.n_rows + 2) * model.n_pieces + (model.n_x + model.n_band) * model.n_band
        self._memory = np.empty(per_row * rows * n_windows)
        self.clear()

    def clear(self) -> None:
        """Make the whole memory available again."""
        self._used = 0

    def empty(self, *shape: int) -> NDArray[np.float64]:
        """Return an uninitialised array."""
        start, size = self._used, int(np.prod(shape))
        if start + size > len(self._memory):
            return np.empty(shape)
        self._used += size
        return self._memory[start : start + size].reshape(shape)


class Newton:
    """A step of Newton's method: the q, u and x that minimise a quadratic function.

    First, the unknowns inside the pieces are eliminated, separately for each piece. Then the
    equations of the unknowns that pieces share are solved.

    Parameters
    ----------
    model : BatemanModel
    D : array of shape (n_rows, n_pieces, n_windows)
        The function is (|M q + B u|^2 + |extra x|^2 + D (A q)^2) / 2, plus linear terms.
    of_q, of_splines, of_x : arrays with the shapes of q, u and x
        The negative coefficients of the linear terms.
    arena : Arena
    """

    def __init__(
        self,
        model: BatemanModel,
        D: NDArray[np.float64],
        of_q: NDArray[np.float64],
        of_splines: NDArray[np.float64],
        of_x: NDArray[np.float64],
        arena: Arena,
    ) -> None:
        arena.clear()
        self._model, self._shape = model, D.shape[1:]
        n_windows, A = D.shape[2], model.A
        band = arena.empty(len(D) + 2, 5, *D.shape[1:])
        band[:, :2] = 0
        band[-2:, 3:] = 0
        band[:, 2] = adjoint(D, A**2)
        np.multiply(A[1] * A[2], D, out=band[:-2, 3])
        band[1:-1, 3] += A[0] * A[1] * D
        np.multiply(A[0] * A[2], D, out=band[:-2, 4])
        band[:, 2:] += model.fixed_band
        # The first two q of a piece are columns, like the splines.
        columns = arena.empty(len(D) + 2, model.n_local + 3, *D.shape[1:])
        columns[:, :2] = 0
        columns[2, 0] = band[0, 4]
        columns[2, 1] = band[1, 3]
        columns[3, 1] = band[1, 4]
        columns[:, 2:-1] = model.cross
        columns[:, -1] = of_q
        rows = band[2:].reshape(len(D), 5, -1)
        flat = columns[2:].reshape(len(rows), -1, rows.shape[2])
        self._inner = Elimination(rows, flat, 2, arena)

        border = np.zeros((model.n_local + 4, model.n_local + 5, *D.shape[1:]))
        border[0, 0], border[1, 0], border[1, 1] = band[0, 2], band[0, 3], band[1, 2]
        border[2:-2, :2] = model.cross[:2].swapaxes(0, 1)
        border[2:-2, 2:-3] = model.gram
        taken = self._inner.taken.reshape(-1, columns.shape[1], *D.shape[1:])
        border[:-2, :-3] -= taken[:-1, :-1]
        border[:2, -1] = of_q[:2]
        border[2:-2, -1] = of_splines
        border[:-2, -1] -= taken[-1, :-1]
        border[-2:, :-3], border[-2:, -1] = columns[-2:, :-1], columns[-2:, -1]
        border[-2, -3], border[-1, -3], border[-1, -2] = band[-2, 2], band[-2, 3], band[-1, 2]
        matrix = border[:, :-1].reshape(-1, n_windows)
        n, width = model.n_banded, 2 * model.n_band + 1
        reduced = model.assemble @ matrix + model.fixed
        band, line, corner = np.split(reduced, np.cumsum(model.sizes)[:2])
        columns = np.zeros((n + model.n_band, 3, n_windows))
        columns[:, :2] = line.reshape(-1, 2, n_windows)
        right = model.border_transposed @ border[:, -1].reshape(-1, n_windows) + of_x
        columns[:n, 2] = right[:n]
        self._outer = Elimination(band.reshape(-1, width, n_windows), columns, model.n_band, arena)
        taken = self._outer.taken
        self._corner = corner.reshape(2, 2, n_windows) - taken[:2, :2]
        self._of_line = right[n:] - taken[2, :2]

    def solve(
        self, more: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return q, u and x, with `more` added to `of_q`."""
        model, inner, outer = self._model, self._inner, self._outer
        y, of_x, of_line = inner.right, outer.right, self._of_line
        if more is not None:
            more = more.reshape(len(more), -1)
            added = inner.forward(more[2:])
            border = np.concatenate([more[:2], np.zeros((model.n_local, y.shape[1])), added[-2:]])
            border[:-2] -= inner.take(added[:-2])
            y = y + added[:-2] * inner.inverse
            right = model.border_transposed @ border.reshape(-1, self._shape[1])
            added = outer.forward(right[:-2])
            of_x = of_x + added * outer.inverse
            of_line = of_line + right[-2:] - outer.take(added)
        (a, _), (b, c) = self._corner
        line = np.stack([c * of_line[0] - b * of_line[1], a * of_line[1] - b * of_line[0]])
        line /= a * c - b * b
        x = np.concatenate([outer.backward(of_x, line), line])
        border = (model.border @ x).reshape(-1, y.shape[1])
        y = inner.backward(y, border[:-2], border[-2:])
        q = np.concatenate([border[:2], y, border[-2:]]).reshape(-1, *self._shape)
        return q, border[2:-2].reshape(-1, *self._shape), x


class Elimination:
    """L D L' decomposition of many symmetric band matrices at once, bordered by columns.

    Parameters
    ----------
    band : array of shape (n + n_rest, 2 * n_band + 1, n_systems)
        Element (i, k) of a matrix, with i >= k, is at [k, n_band + i - k]. Overwritten.
    columns : array of shape (n + n_rest, n_columns, n_systems)
        The last column is the right-hand side. Overwritten.
    n_rest : int
        All rows except for the last `n_rest` are eliminated; `band` and `columns` then have the
        remaining equations in these rows.
    arena : Arena

    Attributes
    ----------
    taken : array of shape (n_columns, n_columns, n_systems)
        What the elimination subtracts from the products of columns: the lower triangle.
    """

    def __init__(
        self, band: NDArray[np.float64], columns: NDArray[np.float64], n_rest: int, arena: Arena
    ) -> None:
        n, n_band, n_systems = len(band) - n_rest, band.shape[1] // 2, band.shape[2]
        row, item, system = band.strides
        shape = n, n_band, n_band, n_systems
        rests = as_strided(band[1:, n_band:], shape, (row, item, row - item, system))
        # Rows of 0 before and after avoid special cases at the ends.
        self._padded = arena.empty(n + 2 * n_band, n_band, n_systems)
        self._padded[:n_band] = 0
        self._padded[n_band + n :] = 0
        self._lower = self._padded[n_band : n_band + n]
        self.inverse = arena.empty(n, n_systems)
        block = np.empty(shape[1:])
        update = np.empty((n_band, *columns.shape[1:]))
        steps = zip(
            band[:, n_band],
            band[:, n_band + 1 :],
            rests,
            columns,
            neighbours(columns[1:], n_band),
            self.inverse,
            self._lower,
            self._lower[:, :, np.newaxis],
            strict=False,
        )
        for pivot, below, rest, own, later, inverse, lower, tall in steps:
            np.divide(1, pivot, out=inverse)
            np.multiply(below, inverse, out=lower)
            np.subtract(rest, np.multiply(tall, below, out=block), out=rest)
            np.subtract(later, np.multiply(tall, own, out=update), out=later)
        columns = columns[:n]
        self._scaled = arena.empty(*columns.shape)
        np.multiply(columns, self.inverse[:, np.newaxis], out=self._scaled)
        self.right = self._scaled[:, -1]
        self.taken = np.empty((columns.shape[1], *columns.shape[1:]))
        for i in range(len(self.taken)):
            np.einsum(
                "rv,rcv->cv", self._scaled[:, i], columns[:, : i + 1], out=self.taken[i, : i + 1]
            )

    def forward(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        """Multiply a right-hand side by the inverse of L."""
        n_band = self._lower.shape[1]
        y = np.zeros((len(self._padded), right.shape[1]))
        y[: len(right)] = right
        scratch = np.empty(self._lower.shape[1:])
        for own, lower, later in zip(y, self._lower, neighbours(y[1:], n_band), strict=False):
            np.subtract(later, np.multiply(lower, own, out=scratch), out=later)
        return y[: len(right)]

    def take(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the elimination subtracts from products of columns and a right-hand side."""
        return np.einsum("rcv,rv->cv", self._scaled[:, :-1], y)

    def backward(
        self,
        y: NDArray[np.float64],
        border: NDArray[np.float64],
        rest: NDArray[np.float64] | tuple[()] = (),
    ) -> NDArray[np.float64]:
        """Return the solution in the eliminated rows.

        Here `y` is the right-hand side multiplied by the inverses of L and D, `border` has the
        solution in the columns, and `rest` that in the remaining rows.
        """
        _, n_band, n_systems = self._padded.shape
        total = np.zeros((n_band + len(y) + len(rest), n_systems))
        rows = total[n_band : n_band + len(y)]
        np.einsum("rcv,cv->rv", self._scaled[:, :-1], border, out=rows)
        np.subtract(y, rows, out=rows)
        if len(rest):
            total[-len(rest) :] = rest
        row, item, system = self._padded.strides
        shape = len(total) - n_band, n_band, n_systems
        across = as_strided(self._padded[:, n_band - 1 :], shape, (row, row - item, system))
        earlier = neighbours(total, n_band)[: len(across)]
        scratch = np.empty(shape[1:])
        steps = zip(total[: n_band - 1 : -1], across[::-1], earlier[::-1], strict=True)
        for own, lower, before in steps:
            np.subtract(before, np.multiply(lower, own, out=scratch), out=before)
        return rows


def neighbours(rows: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return a writable view of every run of n neighbouring rows."""
    row, *inner = rows.strides
    return as_strided(rows, (len(rows) - n + 1, n, *rows.shape[1:]), (row, row, *inner))
