"""What `bench_training.py` measures: contenders, targets and agreement of each kind of work."""

import os
from functools import partial
from unittest import mock

import numpy as np
import pandas as pd
import torch
from _training_contenders import (
    LR,
    STREAMS,
    Contender,
    Streams,
    Work,
    eegmat_like,
    graph_loop,
    loader_loop,
    resident_loop,
    simulate_windows,
    skemo_classifier,
    stock_net,
    train_braindecode,
    train_skemo,
    train_stock,
)
from joblib.externals.loky import get_reusable_executor
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    LeaveOneGroupOut,
    ParameterGrid,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from skorch.helper import SliceDict

import skemo
from skemo.datasets import fetch_eegmat

LOSS = 0.25  # that training is to reach
N_MEASURED = 3  # folds of scikit-learn's, where all would take too long


def epochs(setting):
    return f"{setting.n_epochs} epochs"


# One fit


def losses_agree(ours, theirs):
    """Epochs until a loss is reached, and the last loss, as medians over repetitions."""
    parts = []
    for losses in (np.array(ours), np.array(theirs)):
        below = losses < LOSS
        n_epochs = np.where(below.any(1), below.argmax(1) + 1, np.inf)
        n = np.median(n_epochs)
        when = f"in epoch {n:g}" if np.isfinite(n) else "never"
        parts.append(f"loss < {LOSS} {when}, {np.median(losses[:, -1]):.3f} at the end")
    return f"{parts[0]}; theirs {parts[1]}"


def fit(setting):
    """**One fit.** The same network, batches of 64, AdamW and as many epochs for all,
    from arrays in memory to a trained network. skemo's is `fit` on a signal frame, with its
    checks and standardisation. Stock skorch is `NeuralNetClassifier` with its own data set,
    loader, callbacks and optimiser as they are unless asked otherwise; braindecode is its
    `EEGClassifier` in the same way. The bare loops use fused AdamW, and keep the losses until the
    end; that of resident tensors has all windows on the device and takes batches by their rows;
    its CUDA graph is captured anew in each fit. Epochs to a loss are counted on the training loss
    with dropout, and are medians over repetitions, each with a seed of its own."""
    windows = eegmat_like(setting)
    n_rows = len(windows) * setting.n_epochs

    def contender(name, make, **options):
        return Contender(name, lambda: make(setting, windows), n_rows, **options)

    target = setting.choose(cpu=3, cuda=5)
    others = [
        contender("stock skorch", train_stock, target=target),
        contender("braindecode", train_braindecode),
        contender("bare loop, DataLoader", loader_loop, kind="floor"),
        contender("bare loop, resident tensors", resident_loop, kind="floor"),
    ]
    if setting.device == "cuda":
        others.append(contender("CUDA graph, resident tensors", graph_loop, kind="floor"))
    title = f"one fit, {len(windows)} windows, {epochs(setting)}"
    near = setting.choose(cpu=1.05, cuda=1.25)
    return Work(title, contender("skemo", train_skemo), others, losses_agree, near)


def streams(setting):
    """**Streams.** One fit of the cross-modal network with its default sizes on 10 s of ECG at
    256 Hz and of skin conductance at 4 Hz, in batches of 32, without dropout, by skemo and by
    stock skorch."""
    setting = setting.shortened()
    windows = simulate_windows(4, 16 if setting.quick else 80, shapes=STREAMS)
    n_rows, frame = len(windows) * setting.n_epochs, windows.frame

    def own(seed):
        model = skemo.CrossModalAttentionClassifier(
            dropout=0.0,
            lr=LR,
            batch_size=32,
            max_epochs=setting.n_epochs,
            device=setting.device,
            random_state=seed,
        )
        return model.fit(frame, windows.y).net_.history[:, "train_loss"]

    def theirs(seed):
        torch.manual_seed(seed)
        net = stock_net(setting, network=Streams, batch_size=32)
        return net.fit(windows.arrays, windows.y).history[:, "train_loss"]

    stock = Contender("stock skorch", lambda: theirs, n_rows, target=setting.choose(cpu=3))
    title = f"one fit of streams, {len(windows)} windows, {epochs(setting)}"
    return Work(title, Contender("skemo", lambda: own, n_rows), [stock], losses_agree)


def members(setting):
    """**Members.** An ensemble of five networks against a single one, both by skemo."""
    setting = setting.shortened()
    windows = eegmat_like(setting)
    n_rows, frame = len(windows) * setting.n_epochs, windows.frame

    def train(n_members):
        def run(seed):
            model = skemo_classifier(setting, seed, n_members=n_members).fit(frame, windows.y)
            return model.net_.history[:, "train_loss"]

        return Contender(
            f"n_members={n_members}",
            lambda: run,
            n_members * n_rows,
            kind="fit",
            target=2 if n_members == 1 else None,
        )

    title = f"five members, {len(windows)} windows, {epochs(setting)}"
    return Work(title, train(5), [train(1)], losses_agree)


def window(setting):
    """**One window.** Class probabilities of a single window, a hundred times, as in live use."""
    setting = setting.shortened()
    windows = eegmat_like(setting)
    classifier = skemo_classifier(setting, 0).fit(windows.frame, windows.y)
    net = stock_net(setting).initialize()
    net.module_.network.load_state_dict(classifier.net_.module_.state_dict())
    first, arrays = windows.frame.iloc[:1], {k: x[:1] for k, x in windows.arrays.items()}
    n_times = 2 if setting.quick else 100

    def repeat(call):
        return lambda seed: [call() for _ in range(n_times)]

    def contender(name, call):
        return Contender(name, lambda: repeat(call), n_times)

    others = [contender("stock skorch", lambda: net.predict_proba(arrays))]
    ours = contender("skemo", lambda: classifier.predict_proba(first))
    return Work(f"prediction of one window, {n_times} times", ours, others)


def predict(setting, n_windows=2000):
    """**Prediction.** Class probabilities, by `predict_proba` on a signal frame and on arrays; the
    bare forward pass is of all windows at once in inference mode, from arrays to arrays. All have
    the same weights, so that what differs is skemo's standardisation by the training rows."""
    setting = setting.shortened()
    training, windows = eegmat_like(setting), simulate_windows(25, 80, 1)
    windows = windows.repeated(min(n_windows, 200) if setting.quick else n_windows)
    classifier = skemo_classifier(setting, 0).fit(training.frame, training.y)
    net = stock_net(setting).initialize()
    net.module_.network.load_state_dict(classifier.net_.module_.state_dict())
    network, tensors, frame = net.module_, windows.tensors[:-1], windows.frame

    def bare(seed):
        network.eval()
        with torch.inference_mode():
            scores = network(*(values.to(setting.device) for values in tensors))
            return scores.softmax(1).cpu().numpy()

    def agreement(ours, theirs):
        same = np.mean(ours[0].argmax(1) == theirs[0].argmax(1))
        return f"the same class in {same:.1%} of the windows"

    def contender(name, run, **options):
        return Contender(name, lambda: run, len(windows), **options)

    others = [
        contender(
            "stock skorch",
            lambda seed: net.predict_proba(windows.arrays),
            target=setting.choose(cpu=8) if n_windows == 2000 else None,
        )
    ]
    if n_windows <= 10_000:  # a million would take 20 GB
        others.append(contender("bare forward pass", bare, kind="floor"))
    ours = contender("skemo", lambda seed: classifier.predict_proba(frame))
    title = f"prediction, {len(windows):,} windows"
    near = setting.choose(cpu=1.5) if n_windows == 2000 else None
    return Work(title, ours, others, agreement, near, is_long=n_windows > 100_000)


# Many fits


def count_rows(setting, splits, n_candidates=1):
    """Number of rows that pass through the network in training."""
    return sum(len(train) for train, _ in splits) * n_candidates * setting.n_epochs


def search(setting):
    """**Search.** Leave-one-subject-out over three learning rates by `GridSearchCV` without the
    last fit, with two processes on a CPU, over skemo's network and over stock skorch.
    Memory is not measured, since most of it is in those processes."""
    setting = setting.shortened()
    windows = eegmat_like(setting)
    grid = {"lr": [LR / 3, LR, 3 * LR]}
    splits = list(LeaveOneGroupOut().split(windows.y, windows.y, windows.subjects))
    options = {"cv": splits, "n_jobs": setting.n_jobs, "refit": False, "error_score": "raise"}
    frame, arrays = windows.frame, SliceDict(**windows.arrays)
    n_rows = count_rows(setting, splits, 3)

    def own(seed):
        model = skemo_classifier(setting, seed)
        found = GridSearchCV(model, grid, **options).fit(frame, windows.y)
        return found.cv_results_["mean_test_score"]

    def theirs(seed):
        torch.manual_seed(seed)
        model = stock_net(setting)
        found = GridSearchCV(model, grid, **options).fit(arrays, windows.y)
        return found.cv_results_["mean_test_score"]

    def agreement(ours, theirs):
        means = [" ".join(f"{x:.3f}" for x in np.mean(x, axis=0)) for x in (ours, theirs)]
        return f"accuracies of the candidates {means[0]}; theirs {means[1]}"

    stock = Contender(
        "stock skorch in scikit-learn", lambda: theirs, n_rows, target=setting.choose(cpu=5)
    )
    return Work(
        f"leave-one-subject-out × 3 candidates, {3 * len(splits)} fits, {epochs(setting)}",
        *(Contender("skemo", lambda: own, n_rows), [stock], agreement),
        is_long=True,
        in_processes=setting.n_jobs is not None,
    )


def folds(setting):
    """**Leave-one-subject-out.** `cross_validate` over skemo's network, and over stock skorch, of
    which the first three folds are measured and their time is multiplied to that of all;
    accuracies are compared on these three."""
    setting = setting.shortened()
    windows = eegmat_like(setting)
    splits = list(LeaveOneGroupOut().split(windows.y, windows.y, windows.subjects))
    share = min(N_MEASURED / len(splits), 1.0)
    n_rows = count_rows(setting, splits)

    def own(seed):
        return leave_one_out(skemo_classifier(setting, seed), windows.frame, windows, splits)

    def theirs(seed):
        torch.manual_seed(seed)
        arrays = SliceDict(**windows.arrays)
        return leave_one_out(stock_net(setting), arrays, windows, splits[:N_MEASURED])

    def agreement(ours, theirs):
        means = [np.mean([scores[:N_MEASURED] for scores in x]) for x in (ours, theirs)]
        return f"balanced accuracy {means[0]:.3f}, theirs {means[1]:.3f}"

    stock = Contender(
        f"stock skorch in scikit-learn, {N_MEASURED} of {len(splits)} folds",
        *(lambda: theirs, n_rows),
        target=setting.choose(cuda=20),
        share=share,
    )
    ours = Contender("skemo", lambda: own, n_rows)
    title = f"leave-one-subject-out, {len(splits)} fits, {epochs(setting)}"
    return Work(title, ours, [stock], agreement, is_long=True)


def leave_one_out(model, X, windows, splits, n_jobs=None):
    """Balanced accuracies of the folds."""
    options = {"scoring": "balanced_accuracy", "cv": splits, "error_score": "raise"}
    return cross_validate(model, X, windows.y, n_jobs=n_jobs, **options)["test_score"]


def leave_one_out_together(model, windows, splits):
    """Balanced accuracies of the folds, with networks trained by `fit_many`."""
    frame, y = windows.frame, windows.y
    trains = [train for train, _ in splits]
    fitted = skemo.fit_many(
        [model] * len(splits),
        [frame.iloc[rows] for rows in trains],
        [y[rows] for rows in trains],
        together=True,
    )
    return np.array(
        [
            balanced_accuracy_score(y[test], network.predict(frame.iloc[test]))
            for network, (_, test) in zip(fitted, splits, strict=True)
        ]
    )


def together(setting):
    """**Many fits at once.** Leave-one-subject-out of skemo's network in one process: trained by
    `fit_many(together=True)` as one computation, against `cross_validate`, one fit after
    another."""
    setting = setting.shortened()
    windows = eegmat_like(setting)
    splits = list(LeaveOneGroupOut().split(windows.y, windows.y, windows.subjects))
    n_rows = count_rows(setting, splits)

    def own(seed):
        return leave_one_out_together(skemo_classifier(setting, seed), windows, splits)

    def one_by_one(seed):
        return leave_one_out(skemo_classifier(setting, seed), windows.frame, windows, splits)

    def agreement(ours, theirs):
        return f"balanced accuracy {np.mean(ours):.3f}, theirs {np.mean(theirs):.3f}"

    other = Contender("skemo in cross_validate", lambda: one_by_one, n_rows)
    title = f"leave-one-subject-out at once, {len(splits)} fits, {epochs(setting)}"
    return Work(title, Contender("fit_many", lambda: own, n_rows), [other], agreement, is_long=True)


def candidates(setting):
    """**Search of many candidates.** Ten folds by subject, and 24 candidates of learning rate,
    weight decay and dropout, by `GridSearchCV` over skemo's network without the last fit, against
    the time of a single fit by stock skorch."""
    setting = setting.shortened()
    windows = eegmat_like(setting)
    grid = {
        "lr": [0.001, LR, 0.01] if setting.quick else [0.001, LR, 0.01, 0.02],
        "weight_decay": [0.01] if setting.quick else [0.001, 0.01, 0.1],
        "dropout": [0.25, 0.5],
    }
    n_candidates = len(ParameterGrid(grid))
    splitter = GroupKFold(2 if setting.quick else 10)
    splits = list(splitter.split(windows.y, windows.y, windows.subjects))

    def own(seed):
        model = skemo_classifier(setting, seed)
        options = {"cv": splits, "refit": False, "error_score": "raise"}
        found = GridSearchCV(model, grid, **options).fit(windows.frame, windows.y)
        return found.cv_results_["mean_test_score"]

    def agreement(ours, theirs):
        scores = np.mean(ours, axis=0)
        return f"accuracies of the candidates {scores.min():.3f} to {scores.max():.3f}"

    stock = Contender(
        "stock skorch, one fit",
        lambda: train_stock(setting, windows),
        len(windows) * setting.n_epochs,
        kind="fit",
        target=setting.choose(cuda=10),
    )
    n_rows = count_rows(setting, splits, n_candidates)
    n_fits = len(splits) * n_candidates
    title = f"{len(splits)} folds × {n_candidates} candidates, {n_fits} fits, {epochs(setting)}"
    ours = Contender("skemo", lambda: own, n_rows)
    return Work(title, ours, [stock], agreement, is_long=True)


def compare_scores(setting, data_home=None):
    """**Agreement.** Balanced accuracy of leave-one-subject-out, the same folds for all, several
    seeds of the network; the mean over folds, and over seeds. They agree if the difference of the
    means is within the larger SD over the seeds. The first rows are of simulated subjects; those
    of `eegmat`, rest against arithmetic from recorded ECG and EEG, per subject, are there with
    `--data-home`. Torch's layers are used instead of compiled loops in processes with
    `NUMBA_DISABLE_JIT=1`; stacked networks are trained by `together=True`.

    Yields
    ------
    dict
        A row of the table.
    """
    short = setting.shortened()
    windows = simulate_windows(3, 24, seed=2) if setting.quick else simulate_windows(10, 24, seed=2)
    splits = list(LeaveOneGroupOut().split(windows.y, windows.y, windows.subjects))

    def stock(seed):
        torch.manual_seed(seed)
        return leave_one_out(stock_net(short), SliceDict(**windows.arrays), windows, splits)

    def one_by_one(seed):
        model = skemo_classifier(short, seed)
        return leave_one_out(model, windows.frame, windows, splits, setting.n_jobs)

    def stacked(seed):
        return leave_one_out_together(skemo_classifier(short, seed), windows, splits)

    ways = {"simulated, stock skorch": stock, **by_layers("simulated", one_by_one, stacked)}
    yield from against_the_first(ways, 2 if setting.quick else 8, len(splits))
    if data_home is not None:
        yield from compare_on_eegmat(setting, data_home)


def compare_on_eegmat(setting, data_home):
    """Rows of `compare_scores` for the modality-aware network as it is, on all 24 people."""
    windows = skemo.segment(fetch_eegmat(data_home, progress=False), duration=10.0)
    inputs = skemo.make_modality_transformer(
        ecg=skemo.HRVTransformer(output="series"),
        eeg=skemo.DifferentialEntropyTransformer(output="map", sub_windows=5),
    )
    X = pd.concat([inputs.fit_transform(windows), windows["subject"]], axis=1)
    y, subjects = windows["label"], windows["subject"]
    chosen = skemo.make_modality_transformer(
        ecg="passthrough", eeg="passthrough", subject="passthrough"
    )

    def scores(seed, together=False):
        network = skemo.ModalityAwareAttentionClassifier(
            class_weight="balanced", device=setting.device, random_state=seed
        )
        if setting.quick:
            network.set_params(max_epochs=setting.n_epochs)
        model = make_pipeline(chosen, skemo.PerSubject(), network)
        options = {"together": together, "n_jobs": setting.n_jobs}
        found = skemo.compare({"network": model}, X, y, subjects, **options)
        return found.subject_scores()["balanced_accuracy"]

    ways = by_layers("eegmat", scores, lambda seed: scores(seed, together=True))
    yield from against_the_first(ways, 2 if setting.quick else 3, subjects.nunique())


def by_layers(data, one_by_one, stacked):
    """Return skemo's ways of training by name, each a function from a seed to scores."""

    def score(is_disabled, seed):
        get_reusable_executor().shutdown()  # new worker processes read the variable
        with mock.patch.dict(os.environ, NUMBA_DISABLE_JIT=is_disabled):
            return one_by_one(seed)

    return {
        f"{data}, compiled loops": partial(score, "0"),
        f"{data}, torch's layers": partial(score, "1"),
        f"{data}, stacked": stacked,
    }


def against_the_first(ways, n_seeds, n_folds):
    """Rows for several ways to train, each compared with the first."""
    reference = None
    for name, score in ways.items():
        scores = np.array([score(seed).mean() for seed in range(n_seeds)])
        reference = scores if reference is None else reference
        difference = scores.mean() - reference.mean()
        spread = max(scores.std(ddof=1), reference.std(ddof=1))
        yield {
            "contender": name,
            "folds": n_folds,
            "seeds": n_seeds,
            "balanced accuracy": f"{scores.mean():.4f}",
            "SD over seeds": f"{scores.std(ddof=1):.4f}",
            "against the first": f"{difference:+.4f}",
            "within the spread": "yes" if abs(difference) <= spread else "no",
        }


WORKS = {
    "fit": fit,
    "streams": streams,
    "members": members,
    "predict": predict,
    **{f"predict_{n}": partial(predict, n_windows=n) for n in (10, 100, 10_000, 1_000_000)},
    "window": window,
    "search": search,
    "folds": folds,
    "together": together,
    "candidates": candidates,
}
ROWS = {
    "cpu": ("fit", "streams", "members", "predict", "window", "search", "together", "agreement"),
    "cuda": ("fit", "streams", "predict", "folds", "together", "candidates", "agreement"),
}
