"""What `bench_training.py` compares: the data, and the ways to train a network."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import skemo
from skemo.nn import CrossModalAttentionNetwork, ModalityAwareAttentionNetwork

SHAPES = {"series": (1, 34), "maps": (4, 19, 5)}  # RR intervals; bands x channels x sub-windows
STREAMS = {"ecg": (1, 2560), "eda": (1, 40)}  # 10 s at 256 and at 4 Hz
N_FILTERS, DROPOUT = 8, 0.5
LR, BATCH_SIZE = 0.003, 64
_WARM_UP = 3  # steps before a CUDA graph is captured


class Setting(NamedTuple):
    device: str
    quick: bool = False
    n_epochs: int = 30

    @property
    def n_jobs(self):
        return 2 if self.device == "cpu" else None

    def choose(self, **values):
        """Return the value for this device, or None if there is none."""
        return values.get(self.device)

    def shortened(self):
        """Return a setting with fewer epochs on a CPU, where many fits would take hours."""
        return self._replace(n_epochs=min(self.n_epochs, self.choose(cpu=10) or self.n_epochs))


class Contender(NamedTuple):
    """One of the ways to do a kind of work.

    `make` returns the function to run, which takes a seed; it raises ImportError if a package is
    not installed. `kind` says what the ratio means: with ``"faster"``, how many times faster
    skemo is; with ``"floor"`` and ``"fit"``, how many times longer skemo takes. `target` is a
    minimum for the first and a maximum for the others. `n_rows` is the number of rows that pass
    through the network. If only a `share` of the work is measured, seconds are divided by it.
    """

    name: str
    make: Callable
    n_rows: int
    kind: str = "faster"
    target: float | None = None
    share: float = 1.0


class Work(NamedTuple):
    """A kind of work and its contenders.

    `agreement` describes how well the results of skemo and of another contender agree over all
    repetitions. `near` is the target for the fastest of the floors.
    """

    title: str
    skemo: Contender
    others: list
    agreement: Callable = lambda ours, theirs: ""
    near: float | None = None
    is_long: bool = False  # warmed up on less, and repeated at most three times
    in_processes: bool = False


# Data


class Windows(NamedTuple):
    arrays: dict
    y: np.ndarray
    subjects: np.ndarray

    def __len__(self):
        return len(self.y)

    def repeated(self, n_windows):
        """Return a given number of windows, by repeating these."""
        rows = np.arange(n_windows) % len(self)
        arrays = {name: values[rows] for name, values in self.arrays.items()}
        return Windows(arrays, self.y[rows], self.subjects[rows])

    @property
    def frame(self):
        signals = {name: skemo.SignalArray(values) for name, values in self.arrays.items()}
        return skemo.signal_frame(**signals)

    @property
    def tensors(self):
        return [torch.from_numpy(values) for values in (*self.arrays.values(), self.y)]


def simulate_windows(n_subjects, n_each, seed=0, shapes=SHAPES):
    """Noise with SD 1, to which subject and class each add a level.

    A class adds the same pattern in all subjects, but more strongly in some than in others.
    """
    rng = np.random.default_rng(seed)
    y = np.tile(np.arange(n_each) % 2, n_subjects)
    subjects = np.repeat(np.arange(n_subjects), n_each)
    strength = rng.uniform(0.2, 1.0, n_subjects)[subjects] * (y - 0.5)
    arrays = {}
    for name, shape in shapes.items():
        level = [shape[0], *[1] * (len(shape) - 1)]
        strength = strength.reshape(-1, *[1] * len(shape))
        offset = 0.2 * rng.standard_normal((n_subjects, *level))[subjects]
        effect = rng.choice([-0.5, 0.5], level)
        noise = rng.standard_normal((len(y), *shape))
        arrays[name] = (noise + offset + strength * effect).astype(np.float32)
    return Windows(arrays, y, subjects)


def eegmat_like(setting):
    """As many windows as in the comparison on EEG During Mental Arithmetic; batches are full."""
    return simulate_windows(4, 32) if setting.quick else simulate_windows(24, 24)


# Contenders


class Network(nn.Module):
    """skemo's module, for windows that have all modalities."""

    def __init__(self, dropout=DROPOUT):
        super().__init__()
        self.dropout = dropout
        self.network = ModalityAwareAttentionNetwork(
            list(SHAPES.values()), 2, n_filters=N_FILTERS, dropout=dropout
        )

    def forward(self, series, maps):
        present = series.new_ones(len(series), len(SHAPES))
        noise = None
        if self.training:  # drawn where it is needed, as nn.Dropout does
            kept = series.new_ones(len(series), sum(self.network.vector_sizes))
            noise = None, nn.functional.dropout(kept, self.dropout), *[None] * len(SHAPES)
        return self.network([series, maps], present, noise)


class Streams(nn.Module):
    """The cross-modal network with the settings of its classifier, for windows that have both."""

    def __init__(self):
        super().__init__()
        connections = [(0, 1), (1, 0)]
        self.network = CrossModalAttentionNetwork(
            list(STREAMS.values()), 2, connections=connections
        )

    def forward(self, ecg, eda):
        return self.network([ecg, eda], ecg.new_ones(len(ecg), 2))


def skemo_classifier(setting, seed, **options):
    return skemo.ModalityAwareAttentionClassifier(
        n_filters=N_FILTERS,
        dropout=DROPOUT,
        lr=LR,
        batch_size=BATCH_SIZE,
        max_epochs=setting.n_epochs,
        device=setting.device,
        random_state=seed,
        **options,
    )


def stock_net(setting, kind=NeuralNetClassifier, network=Network, batch_size=BATCH_SIZE, **options):
    return kind(
        network,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        lr=LR,
        batch_size=batch_size,
        max_epochs=setting.n_epochs,
        train_split=None,
        iterator_train__shuffle=True,
        classes=[0, 1],
        device=setting.device,
        verbose=0,
        **options,
    )


class PackedNetwork(Network):
    """The same network with all modalities in a single array, as braindecode requires."""

    def forward(self, packed):
        parts = packed.flatten(1).split([math.prod(shape) for shape in SHAPES.values()], dim=1)
        return super().forward(
            *(part.unflatten(1, shape) for part, shape in zip(parts, SHAPES.values(), strict=True))
        )


def train_braindecode(setting, windows):
    from braindecode import EEGClassifier

    packed = np.concatenate([x.reshape(len(x), 1, -1) for x in windows.arrays.values()], axis=2)

    def run(seed):
        torch.manual_seed(seed)
        net = stock_net(setting, EEGClassifier, PackedNetwork, iterator_train__drop_last=False)
        return net.fit(packed, windows.y).history[:, "train_loss"]

    return run


def train_skemo(setting, windows):
    frame = windows.frame

    def run(seed):
        classifier = skemo_classifier(setting, seed).fit(frame, windows.y)
        return classifier.net_.history[:, "train_loss"]

    return run


def train_stock(setting, windows):
    def run(seed):
        torch.manual_seed(seed)
        return stock_net(setting).fit(windows.arrays, windows.y).history[:, "train_loss"]

    return run


def start_loop(setting, **options):
    network = Network().to(setting.device)
    return network, torch.optim.AdamW(network.parameters(), lr=LR, fused=True, **options)


def train_step(network, optimizer, series, maps, y):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network(series, maps), y)
    loss.backward()
    optimizer.step()
    return loss.detach()


def run_epochs(setting, step, batches):
    """Return the mean loss of each epoch, without waiting for the device before the last one."""
    epochs = range(setting.n_epochs)
    losses = [torch.stack([step(*batch) for batch in batches()]).mean() for _ in epochs]
    return torch.stack(losses).tolist()


def loader_loop(setting, windows):
    def run(seed):
        torch.manual_seed(seed)
        loop = start_loop(setting)
        pinned = setting.device != "cpu"
        dataset = TensorDataset(*windows.tensors)
        loader = DataLoader(dataset, BATCH_SIZE, shuffle=True, pin_memory=pinned)

        def batches():
            for batch in loader:
                yield [values.to(setting.device, non_blocking=True) for values in batch]

        return run_epochs(setting, lambda *batch: train_step(*loop, *batch), batches)

    return run


def resident_loop(setting, windows):
    def run(seed):
        torch.manual_seed(seed)
        loop = start_loop(setting)
        tensors = [values.to(setting.device) for values in windows.tensors]

        def batches():
            for rows in torch.randperm(len(windows), device=setting.device).split(BATCH_SIZE):
                yield [values[rows] for values in tensors]

        return run_epochs(setting, lambda *batch: train_step(*loop, *batch), batches)

    return run


def graph_loop(setting, windows):
    """The loop as a CUDA graph; the time of a fit includes its first steps and the capture.

    The number of windows must be a multiple of the batch size.
    """

    def run(seed):
        torch.manual_seed(seed)
        network, optimizer = start_loop(setting, capturable=True)
        tensors = [values.to(setting.device) for values in windows.tensors]
        rows = torch.zeros(BATCH_SIZE, dtype=torch.long, device=setting.device)
        side, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        n_run, captured = 0, None

        def on_rows():
            return train_step(network, optimizer, *(values[rows] for values in tensors))

        def step(batch):
            nonlocal n_run, captured
            rows.copy_(batch)
            if n_run < _WARM_UP:
                n_run += 1
                side.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(side):
                    loss = on_rows()
                torch.cuda.current_stream().wait_stream(side)
                return loss
            if captured is None:
                optimizer.zero_grad(set_to_none=True)  # gradients are born in the graph's memory
                with torch.cuda.graph(graph):
                    captured = on_rows()
            graph.replay()
            return captured.clone()

        def batches():
            order = torch.randperm(len(windows), device=setting.device)
            return [(batch,) for batch in order.split(BATCH_SIZE)]

        return run_epochs(setting, step, batches)

    return run
