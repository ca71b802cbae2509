"""Networks as ONNX files, for devices without skemo and torch."""

import copy
import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skemo._files import write_whole
from skemo.models.base import FusionEstimator
from skemo.training.devices import reproducible
from skemo.training.objectives import mean_probabilities

_OPSET = 18


def export_onnx(network: FusionEstimator, path: str | os.PathLike[str]) -> None:
    """Write a fitted network, with its standardisation, to an ONNX file.

    ONNX Runtime runs such a file on phones and small computers, without skemo, torch or other
    Python packages; see "Models on a phone or a small computer" in the guide. The exported network
    has one input per modality, named after it: windows as the original takes them, in float32, of
    shape (n_windows, ...) for any number of windows. A modality that is NaN throughout a window is
    missing, as in skemo. The outputs are

    * ``probabilities`` of shape (n_windows, n_classes) for a classifier; if there are several
      targets, ``probabilities_0``, ``probabilities_1`` and so on,
    * ``numbers`` of shape (n_windows,) or (n_windows, n_targets) for a regressor.

    An ensemble gives the mean over its members. Everything is computed in float32, even for
    networks with ``precision="bfloat16"``. There is no check for infinite values and artefacts
    beyond a billion standard deviations, for which skemo raises errors.

    Parameters
    ----------
    network : network estimator of skemo
        A fitted classifier or regressor. If it is the last step of a Pipeline, pass that step;
        the steps before it have to be computed on the device.
    path : str or path-like
        The file to write, such as ``"network.onnx"``; its folder must exist. The weights are in
        the same file. Its metadata contain the ``classes`` and the ``modalities`` (shape, sampling
        rate in hertz and channels of each) as JSON.

    Raises
    ------
    TypeError
        If `network` is not one of skemo's networks.
    NotFittedError
        If it is not fitted.
    FileNotFoundError
        If the folder does not exist.
    ImportError
        If the packages that torch's exporter needs are missing: ``pip install "skemo[onnx]"``.

    See Also
    --------
    save : Write a whole model, to be loaded by skemo.
    """
    if not isinstance(network, FusionEstimator):
        raise TypeError(
            f"export_onnx takes a fitted network, got {type(network).__name__}. If it is the "
            "last step of a Pipeline, pass that step: export_onnx(pipeline[-1], path)."
        )
    check_is_fitted(network)
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder {str(path.parent)!r} to write {path.name!r} in: create it first, "
            "or choose another one."
        )
    program = _trace(_Exported(network).eval())
    program.model.metadata_props.update(_describe(network))
    write_whole(path, program.model_proto.SerializeToString())


class _Exported(nn.Module):
    """A network that takes windows to predictions, for `torch.export`."""

    def __init__(self, estimator: FusionEstimator) -> None:
        super().__init__()
        names = [*estimator._signal_names(), *estimator._quality_names()]
        self.names = [str(name) for name in names]
        self.shapes = [estimator.modalities_[name].shape for name in names]
        self.padded = [estimator.modalities_[name].may_be_padded for name in names]
        self.network = copy.deepcopy(estimator.net_.module_).cpu()
        for member in self.network.members:
            member.uses_bfloat16 = False
        self.mean = nn.ParameterList([_constant(estimator.mean_[name]) for name in names])
        self.scale = nn.ParameterList([_constant(estimator.scale_[name]) for name in names])
        # A modality that was missing in all training windows is never used.
        self.used = [float(mean.isfinite().any()) for mean in self.mean]
        if is_classifier(estimator):
            self.n_classes: list[int] | None = [len(x) for x in estimator._class_lists()]
        else:
            self.n_classes = None
            self.target_mean = _constant(estimator.target_mean_)
            self.target_scale = _constant(estimator.target_scale_)

    @property
    def output_names(self) -> list[str]:
        if self.n_classes is None:
            return ["numbers"]
        if len(self.n_classes) == 1:
            return ["probabilities"]
        return [f"probabilities_{i}" for i in range(len(self.n_classes))]

    def forward(self, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        standardized, present = [], []
        for x, mean, scale, padded, used in zip(
            inputs, self.mean, self.scale, self.padded, self.used, strict=True
        ):
            missing = x.isnan()
            has_samples = (~missing).flatten(1).any(1)
            present.append(has_samples.to(torch.float32) * used)
            z = (x - mean) / scale
            z = torch.where(z.isnan(), 0.0, z)
            if padded:
                z = torch.where(_padding(x), 0.0, z)
            standardized.append(z)
        outputs = self.network(standardized, torch.stack(present, dim=1))
        if self.n_classes is not None:
            return tuple(mean_probabilities(part) for part in outputs.split(self.n_classes, dim=1))
        if outputs.dim() == 3:
            outputs = outputs.mean(2)
        numbers = outputs * self.target_scale + self.target_mean
        return (numbers[:, 0] if len(self.target_mean) == 1 else numbers,)


def _constant(array):
    return nn.Parameter(torch.from_numpy(array).float(), requires_grad=False)


def _padding(x):
    """Return where windows end in zeros of all channels, of shape (batch, 1, ..., n_times)."""
    n_times = x.shape[-1]
    used = (x != 0).flatten(1, -2).any(1)
    length = (used * torch.arange(1, n_times + 1)).amax(1, keepdim=True)
    padding = torch.arange(n_times) >= length
    return padding.reshape(-1, *[1] * (x.dim() - 2), n_times)


def _trace(exported):
    """Return torch's ONNX program of a module, without its lines of source code."""
    try:
        import onnx_ir.passes.common
        import onnxscript  # noqa: F401  # needed by torch's exporter
    except ImportError as error:
        raise ImportError(
            "export_onnx needs onnx and onnxscript, which are not installed: "
            'pip install "skemo[onnx]".'
        ) from error
    inputs = [torch.ones(2, *shape) for shape in exported.shapes]
    n_windows = torch.export.Dim("n_windows")
    with reproducible(torch.device("cpu")), torch.no_grad(), _quietly():
        program = torch.onnx.export(
            exported,
            (inputs,),
            dynamo=True,
            dynamic_shapes=([{0: n_windows} for _ in inputs],),
            input_names=exported.names,
            output_names=exported.output_names,
            opset_version=_OPSET,
            verbose=False,
        )
    onnx_ir.passes.common.ClearMetadataAndDocStringPass()(program.model)
    return program


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence the messages of torch's exporter about itself and about optional packages."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch uses its own deprecated names
            warnings.filterwarnings("ignore", "# The axis name: n_windows will not be used")
            yield
    finally:
        logger.setLevel(level)


def _describe(network) -> dict[str, str]:
    """Return the metadata of the file."""
    modalities = {
        str(name): {
            "shape": dtype.shape,
            "sampling_rate": dtype.sampling_rate,
            "channels": dtype.channels,
        }
        for name, dtype in network.modalities_.items()
    }
    described: dict[str, Any] = {"modalities": modalities, "skemo": version("skemo")}
    if is_classifier(network):
        described["classes"] = [classes.tolist() for classes in network._class_lists()]
    return {name: json.dumps(value) for name, value in described.items()}
