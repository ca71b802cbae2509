"""Training steps as CUDA graphs."""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from skemo.training.devices import (
    is_out_of_memory,
)

_WARM_UP = 3  # steps before a CUDA graph is captured


class Graph:
    """A training step as CUDA graphs, one for each batch size.

    The first steps of a size run as usual; then the step is recorded, and replayed from there on.
    The first replay of each size is compared with an ordinary step. If recording fails or the
    results differ, all steps of this process run as usual from there on.

    Parameters
    ----------
    step : callable
        Takes the rows and the noise of a batch, changes `state`, and returns the losses.
    state : list of Tensor
        What a step changes.
    device : torch.device
    """

    has_failed = False  # in this process

    def __init__(
        self,
        step: Callable[[Tensor, Sequence[Tensor | None]], Tensor],
        state: list[Tensor],
        device: torch.device,
    ) -> None:
        self.step = step
        self.state = state
        self.device = device
        self.stream = torch.cuda.Stream(device)
        self.n_steps: dict[int, int] = {}  # by batch size
        self.recorded: dict[int, tuple] = {}

    def __call__(self, rows: Tensor, noise: Sequence[Tensor | None]) -> Tensor:
        width = rows.shape[1]
        self.n_steps[width] = self.n_steps.get(width, 0) + 1
        if Graph.has_failed:
            return self.step(rows, noise)
        if self.n_steps[width] <= _WARM_UP:
            current = torch.cuda.current_stream(self.device)
            self.stream.wait_stream(current)
            with torch.cuda.stream(self.stream):
                losses = self.step(rows, noise)
            current.wait_stream(self.stream)
            return losses
        if width in self.recorded:
            return self._replay(width, rows, noise)
        before = [values.clone() for values in self.state]
        try:
            self._record(width, rows, noise)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            return self._give_up(f"could not be recorded ({error})", before, rows, noise)
        losses = self._replay(width, rows, noise)
        after = [values.clone() for values in self.state]
        _restore(self.state, before)
        expected = self.step(rows, noise)
        pairs = zip([losses, *after], [expected, *self.state], strict=True)
        if all(torch.allclose(one, other, rtol=1e-4, atol=1e-6) for one, other in pairs):
            return expected
        return self._give_up("gives different results", before, rows, noise)

    def _record(self, width, rows, noise):
        # A replay reads its inputs from the same memory as the recording.
        graph_rows = rows.clone()
        graph_noise = [None if x is None else x.clone() for x in noise]
        graph = torch.cuda.CUDAGraph()
        # Other threads may use the device in the meantime.
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            losses = self.step(graph_rows, graph_noise)
        self.recorded[width] = graph, graph_rows, graph_noise, losses

    def _replay(self, width, rows, noise):
        graph, graph_rows, graph_noise, losses = self.recorded[width]
        graph_rows.copy_(rows)
        for target, values in zip(graph_noise, noise, strict=True):
            if target is not None:
                target.copy_(values)
        graph.replay()
        return losses.clone()

    def _give_up(self, reason, before, rows, noise):
        """Warn, and run this step and all later ones as usual."""
        Graph.has_failed = True
        self.recorded.clear()
        warnings.warn(
            f"graphs=True: the training step as a CUDA graph {reason}. Steps are run as usual.",
            RuntimeWarning,
            stacklevel=2,
        )
        _restore(self.state, before)
        return self.step(rows, noise)


def _restore(state, before):
    for values, earlier in zip(state, before, strict=True):
        values.copy_(earlier)
