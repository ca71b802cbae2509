"""Data sets and models of the command line, and the computation of their inputs."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Literal, NamedTuple

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline, make_pipeline

from skemo.evaluation.controls import MAJORITY, MEAN
from skemo.evaluation.scores import Task
from skemo.features.context import ContextTransformer
from skemo.features.modalities import make_modality_transformer
from skemo.features.per_subject import PerSubject
from skemo.models.baselines import make_dummy, make_lda, make_random_forest, make_ridge, make_svm
from skemo.signals.recording import Recording


class DataSet(NamedTuple):
    """A data set of the command line.

    ``load(data_home, target, on_error)`` returns recordings. `targets` lists what can be
    predicted, the default first; it is empty if there is no choice. `duration` is the default
    length of a window in seconds, and `purity` the fraction of a window that must have its label.
    `numbers` lists the targets that can be predicted as numbers, the default first.
    """

    description: str
    load: Callable[..., Iterable[Recording]]
    targets: tuple[str, ...] = ()
    duration: float = 10.0
    purity: float = 1.0
    numbers: tuple[str, ...] = ()


class Model(NamedTuple):
    """A model of the command line: its name in the table, and a function that makes it.

    In ``make(select, seed, max_epochs, task)``, `select` is a function that returns a transformer
    which selects inputs: ``select("series")``, ``select("raw")`` or ``select("features")``.
    With `each_modality`, a separate model is made for each modality. `tasks` lists what it is for.
    `has_context` says whether its inputs can be averaged over windows: waveforms cannot. Models
    with `on_request` are compared only if they are named.
    """

    title: str
    make: Callable[..., Any]
    each_modality: bool = False
    tasks: tuple[Task, ...] = ("classification",)
    has_context: bool = True
    on_request: bool = False


class Inputs(NamedTuple):
    """The transformers of a modality.

    `series` is for the modality-aware network, `raw` for the cross-modal network, and
    `features` for the baselines.
    """

    series: object
    raw: object
    features: object


def _load_simulated(data_home, target, on_error):
    if data_home is not None:
        raise ValueError("these recordings come with the package: leave out --data-home.")
    from skemo.datasets import make_emotion_recordings

    return make_emotion_recordings(random_state=0)


def _load_eegmat(data_home, target, on_error):
    from skemo.datasets import fetch_eegmat

    return fetch_eegmat(data_home, on_error=on_error, lazy=True, progress=True)


def _load_stress_predict(data_home, target, on_error):
    from skemo.datasets import fetch_stress_predict

    return fetch_stress_predict(data_home, on_error=on_error, lazy=True, progress=True)


def _load_wesad(data_home, target, on_error):
    from skemo.datasets import load_wesad

    classes = {
        "three-class": ("baseline", "stress", "amusement"),
        "stress": "binary",
        "four-class": ("baseline", "stress", "amusement", "meditation"),
    }[target]
    settings = {"on_error": on_error, "lazy": True, "progress": True}
    return load_wesad(_local(data_home), classes=classes, **settings)


def _load_seed(data_home, target, on_error):
    from skemo.datasets import load_seed

    return load_seed(_local(data_home), on_error=on_error, lazy=True, progress=True)


def _load_bids(data_home, target, on_error):
    from skemo.datasets import load_bids

    return load_bids(_local(data_home), on_error=on_error, lazy=True, progress=True)


def _rated(loader):
    """Return a function that loads a data set with ratings, given the name of its loader."""

    def load(data_home, target, on_error):
        from skemo import datasets

        settings = {"on_error": on_error, "lazy": True, "progress": True}
        return getattr(datasets, loader)(_local(data_home), target=target, **settings)

    return load


def _local(data_home):
    if data_home is None:
        raise ValueError("it cannot be downloaded: specify its folder with --data-home.")
    return data_home


DATASETS = {
    "simulated": DataSet("simulated recordings with a planted effect", _load_simulated),
    "eegmat": DataSet(
        "EEG During Mental Arithmetic Tasks (PhysioNet 1.0.0): rest and arithmetic", _load_eegmat
    ),
    "stress_predict": DataSet(
        "Stress-Predict: rest and stress, from a wristband", _load_stress_predict, duration=60.0
    ),
    "wesad": DataSet(
        "WESAD: baseline, stress, amusement", _load_wesad, ("three-class", "stress", "four-class")
    ),
    "amigos": DataSet(
        "AMIGOS: short videos; the third signal is read as conductance (see load_amigos)",
        _rated("load_amigos"),
        ("arousal", "valence"),
        numbers=("arousal", "valence", "dominance", "liking", "familiarity"),
    ),
    "dreamer": DataSet(
        "DREAMER: film clips",
        _rated("load_dreamer"),
        ("arousal", "valence", "dominance"),
        numbers=("arousal", "valence", "dominance"),
    ),
    "deap": DataSet(
        "DEAP: music videos",
        _rated("load_deap"),
        ("arousal", "valence", "dominance", "liking"),
        numbers=("arousal", "valence", "dominance", "liking"),
    ),
    "seed": DataSet("SEED: negative, neutral and positive film clips", _load_seed),
    "bids": DataSet("a folder in BIDS format, labelled by its events", _load_bids),
    "case": DataSet(
        "CASE: videos, annotated by joystick",
        _rated("load_case"),
        ("arousal", "valence"),
        purity=0.5,
        numbers=("arousal", "valence"),
    ),
}


def _modality_aware(**settings):
    return _network("skemo.models.modality_aware", "ModalityAwareAttention", "series", settings)


def _cross_modal(**settings):
    return _network("skemo.models.cross_modal", "CrossModalAttention", "raw", settings)


def _network(module, name, kind, settings):
    """Return a function that makes a network, a classifier or a regressor."""

    def make(select, seed, max_epochs, task):
        role = "Classifier" if task == "classification" else "Regressor"
        network = getattr(import_module(module), f"{name}{role}")(**settings)  # torch loads late
        network.set_params(random_state=seed)
        if task == "classification":
            network.set_params(class_weight="balanced")
        if max_epochs is not None:
            network.set_params(max_epochs=max_epochs)
        return make_pipeline(select(kind), network)

    return make


def _make_svm(select, seed, max_epochs, task):
    return make_svm(select("features"), task=task)


def _make_random_forest(select, seed, max_epochs, task):
    return make_random_forest(select("features"), task=task, random_state=seed)


def _make_ridge(select, seed, max_epochs, task):
    return make_ridge(select("features"), task=task)


def _make_lda(select, seed, max_epochs, task):
    return make_lda(select("features"))


def _make_dummy(select, seed, max_epochs, task):
    return make_dummy("passthrough", task=task)


_BOTH: tuple[Task, ...] = ("classification", "regression")
MODELS = {
    "attention": Model("modality-aware attention", _modality_aware(), tasks=_BOTH),
    "basic": Model("without attention (basic)", _modality_aware(attention=None), tasks=_BOTH),
    "residual": Model(
        "residual attention", _modality_aware(attention="residual"), tasks=_BOTH, on_request=True
    ),
    "scalar": Model(
        "scalar attention", _modality_aware(attention="scalar"), tasks=_BOTH, on_request=True
    ),
    "cross-modal": Model("cross-modal attention", _cross_modal(), tasks=_BOTH, has_context=False),
    "late-fusion": Model(
        "without connections (late fusion)",
        _cross_modal(direction=None),
        tasks=_BOTH,
        has_context=False,
    ),
    "single": Model(
        "single stream",
        _cross_modal(),
        each_modality=True,
        tasks=_BOTH,
        has_context=False,
        on_request=True,
    ),
    "svm": Model("SVM", _make_svm, tasks=_BOTH),
    "random-forest": Model("random forest", _make_random_forest, tasks=_BOTH),
    "ridge": Model("ridge", _make_ridge, tasks=("regression",)),
    "lda": Model("LDA", _make_lda),
    "dummy": Model(MAJORITY, _make_dummy, has_context=False),
    "mean": Model(MEAN, _make_dummy, tasks=("regression",), has_context=False),
}
NORMALIZATIONS = {
    "raw": "inputs standardised by the training windows of all subjects together",
    "per-subject": "inputs standardised by each subject's own windows, without their labels: "
    "for a new subject, by all windows that are to be predicted (transductive)",
}


def decompose_conductance(recordings: Iterable[Recording]) -> Iterator[Recording]:
    """Yield the recordings, with any skin conductance decomposed into tonic and phasic part."""
    from skemo.features.whole_recordings import decompose_eda

    for recording in recordings:
        yield decompose_eda(recording) if "eda" in recording.signals else recording


def without_labels(recordings: Iterable[Recording]) -> Iterator[Recording]:
    """Yield the recordings without labels, so that every window with numbers is kept."""
    for recording in recordings:
        yield dataclasses.replace(recording, labels=())


def modality_inputs() -> dict[str, Inputs]:
    """Return the transformers that a comparison uses for each modality.

    Returns
    -------
    dict of str to Inputs
        By modality. Skin conductance must have been decomposed before cutting.
    """
    from skemo.features.differential_entropy import DifferentialEntropyTransformer
    from skemo.features.eda import EDATransformer
    from skemo.features.hrv import HRVTransformer
    from skemo.features.resampling import ResampleTransformer

    return {
        "ecg": Inputs(
            HRVTransformer(output="series"),
            ResampleTransformer(rate=64, band=(0.5, None), standardize=True),
            HRVTransformer(),
        ),
        "ppg": Inputs(
            HRVTransformer(output="series", signal="ppg"),
            ResampleTransformer(rate=32, band=(0.5, None), standardize=True),
            HRVTransformer(signal="ppg"),
        ),
        "eda": Inputs(
            ResampleTransformer(rate=1),  # faster rates cost time and add little information
            ResampleTransformer(rate=4),
            EDATransformer(signal="components"),
        ),
        "eeg": Inputs(
            DifferentialEntropyTransformer(output="map"),
            ResampleTransformer(rate=128, band=(0.5, None)),
            DifferentialEntropyTransformer(),
        ),
    }


def compute_inputs(
    windows: pd.DataFrame, transformers: Mapping[str, Inputs], keys: Sequence[str] = ("subject",)
) -> tuple[pd.DataFrame, dict[str, dict[str, list[str]]]]:
    """Compute the inputs of the networks and the baselines once for all folds.

    The transformers learn nothing from other windows, so computing the inputs again in each
    fold would give the same result.

    Parameters
    ----------
    windows : DataFrame
        From `skemo.segment`.
    transformers : dict of str to Inputs
        From `modality_inputs`; those of modalities that are not in `windows` are ignored.
    keys : sequence of str, default=("subject",)
        Columns of `windows` to keep; models with context also need "trial" and "start".

    Returns
    -------
    inputs : DataFrame
        All inputs, and the keys. Names begin with the kind of input: ``series ecg``.
    columns : dict of str to dict of str to list of str
        Names of the columns by kind of input and modality. The reliability of a modality, if the
        windows have one from `skemo.corrupt`, is among its features, and also a signal of the
        kind "reliability".
    """
    present = {name: kinds for name, kinds in transformers.items() if name in windows}
    if not present:
        raise ValueError(
            f"The recordings have none of the modalities {list(transformers)}, only "
            f"{list(windows)}."
        )
    tables = []
    columns: dict[str, dict[str, list[str]]] = {}
    for kind in Inputs._fields:
        columns[kind] = {}
        for name, kinds in present.items():
            transformer = make_modality_transformer(**{name: getattr(kinds, kind)})
            table = transformer.fit_transform(windows)
            # An ECG and a pulse have features of the same names.
            table.columns = [f"{kind} {x}" if x == name else f"{kind} {name} {x}" for x in table]
            tables.append(table)
            columns[kind][name] = list(table)
    told = {name: f"{name}_reliability" for name in present if f"{name}_reliability" in windows}
    if told:
        columns["reliability"] = {name: [f"reliability {name}"] for name in told}
    for name, column in told.items():
        signal, feature = f"reliability {name}", f"features {name} reliability"
        number = windows[column].array.values[:, 0, 0]
        tables.append(pd.DataFrame({signal: windows[column], feature: number}))
        columns["features"][name].append(feature)
    return pd.concat([*tables, windows[list(keys)]], axis=1), columns


def make_models(
    names: Sequence[str],
    columns: Mapping[str, Mapping[str, Sequence[str]]],
    normalization: Literal["raw", "per-subject"],
    *,
    task: Task = "classification",
    seed: int = 0,
    max_epochs: int | None = None,
    context: float | None = None,
) -> dict[str, Pipeline]:
    """Make models that take the computed inputs.

    Parameters
    ----------
    names : sequence of str
        Keys of `MODELS`.
    columns : dict
        From `compute_inputs`. A network receives the reliability of a modality through its
        attention or, if it has none, as a further signal.
    normalization : {"raw", "per-subject"}
        How the inputs are normalised.
    task : {"classification", "regression"}, default="classification"
        What the models are for.
    seed : int, default=0
        Seed of the models.
    max_epochs : int, default=None
        Number of epochs of the networks; None means their default.
    context : float, default=None
        Reach of the mean over neighbouring windows, in seconds. A model that has such a context
        is made with and without it.

    Returns
    -------
    dict of str to Pipeline
        By their titles in the table.
    """
    modalities = list(columns["raw"])

    def reliability(wanted):
        told = columns.get("reliability", {})
        return [name for modality in wanted for name in told.get(modality, [])]

    def selector(wanted, reach=None):
        def select(kind):
            names = [name for modality in wanted for name in columns[kind][modality]]
            if kind != "features":
                names += reliability(wanted)
            own = normalization == "per-subject"
            keys = [] if reach is None else ["subject", "trial", "start"]
            names += keys or ["subject"] * own
            chosen = ColumnTransformer(
                [("columns", "passthrough", names)], verbose_feature_names_out=False
            ).set_output(transform="pandas")
            steps = [PerSubject(passthrough=keys) if keys else PerSubject()] * own
            steps += [] if reach is None else [ContextTransformer(reach)]
            return make_pipeline(chosen, *steps) if steps else chosen

        return select

    models = {}
    for name in names:
        model = MODELS[name]

        def make(wanted, reach=None, model=model):
            made = model.make(selector(wanted, reach), seed, max_epochs, task)
            if reliability(wanted) and hasattr(made[-1], "attention_weights"):
                made[-1].set_params(quality=reliability(wanted))
            return made

        for modality in modalities if model.each_modality else [None]:
            wanted, title = modalities, model.title
            if modality is not None:
                wanted, title = [modality], f"{model.title}, {modality}"
            models[title] = make(wanted)
            if context is not None and model.has_context:
                models[title_with_context(title, context)] = make(wanted, context)
    return models


def title_with_context(title: str, reach: float) -> str:
    """Return the title of a model whose inputs are averaged over windows within `reach` seconds."""
    return f"{title}, ± {reach:g} s"
