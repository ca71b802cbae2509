"""Small networks, and windows that depend on the class, for tests of the classifiers."""

import numpy as np
import torch

from skemo import (
    CrossModalAttentionClassifier,
    ModalityAwareAttentionClassifier,
    SignalArray,
    signal_frame,
)


class Averages(torch.nn.Module):
    """A module of a user's own: a layer over the means of all channels."""

    def __init__(self, shapes, n_outputs):
        super().__init__()
        self.layer = torch.nn.Linear(sum(shape[0] for shape in shapes), n_outputs)

    def forward(self, inputs, present):
        return self.layer(torch.cat([x.mean(-1) for x in inputs], dim=1))


QUICK = {"n_filters": 4, "max_epochs": 24, "lr": 0.01, "dropout": 0.0, "batch_size": 32}


NETWORKS = {
    "modality-aware": (ModalityAwareAttentionClassifier, {"depth": 1}),
    "cross-modal": (
        CrossModalAttentionClassifier,
        {"n_blocks": 2, "kernel_size": 3, "stages": (1,)},
    ),
}


def windows(n_windows=60, seed=0, n_subjects=6):
    """Make windows of two modalities that depend on the class, and the subject of each window."""
    rng = np.random.default_rng(seed)
    y = np.tile(["rest", "task"], n_windows // 2)
    task = (y == "task")[:, None, None]
    ecg = rng.normal(size=(n_windows, 1, 12)) + 2.0 * task
    eeg = rng.normal(size=(n_windows, 5, 6)) + 1.5 * task
    ecg[:, :, 9:] = 0
    X = signal_frame(
        ecg=SignalArray(ecg.astype(np.float32)),
        eeg=SignalArray(eeg.astype(np.float32), channels=["Fz", "Cz", "Pz", "Oz", "O1"]),
    )
    return X, y, np.arange(n_windows) // (n_windows // n_subjects)
