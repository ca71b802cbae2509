"""The sections of a report on one comparison."""

from typing import Any

import numpy as np
import pandas as pd

from skemo.evaluation.controls import GUESSES, MAJORITY
from skemo.evaluation.declared import describe_step
from skemo.evaluation.leakage import format_findings
from skemo.features.corruption import describe_corruption
from skemo.report.figures import (
    can_draw,
    draw_calibration,
    draw_confusion,
    draw_predictions,
    draw_residuals,
    draw_subject_scores,
)
from skemo.report.html import Html, bullets, code, figure, fold_away, join, table, tag
from skemo.report.outcome import (
    ALPHA,
    Outcome,
    count,
    format_p,
    headline,
    is_permuted,
    percent,
    signed,
)
from skemo.signals.array import SignalDtype

_MAX_FOLDS = 400  # rows shown; leave-one-trial-out may have thousands of folds
_INTERVAL = "95 % interval"


def data_facts(outcome: Outcome) -> list[tuple[str, Any]]:
    """Return what there is to say about the windows of a comparison."""
    data = outcome.comparison.details["data"]
    segment = data["segment"] or {}
    length = f" of {segment['duration']:g} s, one every {segment['step']:g} s," if segment else ""
    told: list[tuple[str, Any]] = [
        (
            "Data",
            f"{data['n_windows']} windows{length} from {count(data['n_subjects'], 'subject')}",
        ),
        _describe_values(outcome.comparison),
        ("Inputs", bullets(map(_describe_input, data["inputs"])) if data["inputs"] else "–"),
    ]
    corrupted = describe_corruption(data.get("corruption", []))
    if corrupted:
        told.append(("Corrupted on purpose", bullets(corrupted)))
    missing = {name: n for name, n in data.get("missing", {}).items() if n}
    if missing:
        told.append(("Missing windows", ", ".join(f"{name} {n}" for name, n in missing.items())))
    n_dropped = {
        "because the label changes or is missing": segment.get("dropped_label"),
        "in excluded intervals": segment.get("dropped_excluded"),
        "outside some of the signals": segment.get("dropped_missing"),
    }
    dropped = ", ".join(f"{n} {why}" for why, n in n_dropped.items() if n)
    if dropped:
        told.append(("Dropped windows", dropped))
    if segment.get("short_recordings"):
        told.append(("Too short for a window", count(segment["short_recordings"], "recording")))
    return told


def _describe_values(comparison):
    """The counts of the classes, or the distribution of the numbers."""
    data = comparison.details["data"]
    missing = f"; {data['no_target']} windows without it" if "no_target" in data else ""
    if comparison.task == "classification":
        counts = ", ".join(f"{name} {n}" for name, n in data["classes"].items())
        return "Classes", f"{counts} windows{missing}"
    own = data["numbers"]
    spread = f"{own['mean']:.4g} ± {own['std']:.4g}, from {own['low']:.4g} to {own['high']:.4g}"
    return comparison.details.get("target", "Target").capitalize(), f"{spread}{missing}"


def _describe_input(one):
    try:
        dtype = SignalDtype.construct_from_string(one["dtype"])
    except TypeError:
        return " ".join(filter(None, (one["name"], one["dtype"] and f"({one['dtype']})")))
    name, channels = one["name"], ""
    if dtype.channels and len(dtype.channels) <= 16:
        channels = f" ({', '.join(dtype.channels)})"
    if dtype.sampling_rate and len(dtype.shape) == 2:
        n = dtype.shape[0]
        return f"{name}: {count(n, 'channel')} at {dtype.sampling_rate:g} Hz{channels}"
    return f"{name}: {' × '.join(map(str, dtype.shape))} values{channels}"


def run_facts(outcome: Outcome) -> list[tuple[str, Any]]:
    """Return what there is to say about how a comparison was run."""
    comparison, details = outcome.comparison, outcome.comparison.details
    protocol = comparison.about_protocol
    people = (
        "people known to the model from training: this says nothing about new people"
        if protocol.known_subjects
        else "people that the model has never seen"
    )
    seed, n = details["random_state"], details["n_repeats"]
    seeds = "no fixed seed" if seed is None else f"seed {seed}"
    if seed is not None and n > 1:
        seeds = f"seeds {seed} to {seed + n - 1}"
    times = "once" if n == 1 else f"{n} times; a subject's score is the mean over repetitions"
    told: list[tuple[str, Any]] = [
        ("Protocol", f"{comparison.title}: {details['description']}"),
        ("Tested on", people),
        ("Folds", f"{details['n_folds']}, {times}; {seeds}"),
        ("Models", bullets(outcome.models)),
    ]
    declared = _describe_declared(comparison)
    if declared:
        told.append(("Transductive", bullets(declared)))
    controls = []
    if set(GUESSES) & set(outcome.controls):
        is_class = MAJORITY in outcome.controls
        controls.append("the majority class" if is_class else "the mean of the training windows")
    if len(outcome.controls) > len(controls):
        controls.append("each model trained on labels permuted within each subject")
    return [*told, ("Controls", bullets(controls))] if controls else told


def _describe_declared(comparison):
    """What each model with transductive steps does with the windows of a person."""
    return [
        f"{name}: {step} {describe_step(step)}"
        for name, steps in comparison.details.get("declared", {}).items()
        for step in steps
    ]


def software_facts(outcome: Outcome) -> list[tuple[str, Any]]:
    """Return the versions of the packages, and the time of the run."""
    details = outcome.comparison.details
    day, _, clock = details["started"].partition("T")
    return [
        ("Versions", ", ".join(f"{name} {v}" for name, v in details["versions"].items())),
        ("Started", tag("time", f"{day} {clock[:5]} UTC{clock[8:]}", datetime=details["started"])),
    ]


def sections_of(outcome: Outcome, prefix: str) -> dict[str, Html]:
    """Return the sections of one comparison, by heading; they are computed once per prefix."""
    if prefix not in outcome.sections:
        outcome.sections[prefix] = _compute_sections(outcome, prefix)
    return outcome.sections[prefix]


def _compute_sections(outcome, prefix):
    comparison = outcome.comparison
    are_classes = comparison.task == "classification"
    sections = {
        "Scores": _scores(outcome),
        "Differences and tests": _tests(outcome),
        "Figures": _figures(outcome, prefix),
        "Probabilities": _probabilities(outcome, prefix) if are_classes else None,
        "What the searches chose": _chosen(comparison.chosen),
        "Leakage": _leakage(comparison),
        "Failures and warnings": _troubles(comparison),
        "Folds and models": _fold_scores(outcome),
        "What to write in a paper": _methods(outcome),
        "Reproduce": _reproduce(comparison),
    }
    return {heading: content for heading, content in sections.items() if content}


def _scores(outcome):
    comparison = outcome.comparison
    texts, summary = comparison.table(), comparison.summary()
    metrics = {comparison.describe_metric(name).title: name for name in summary.columns.levels[0]}
    head = list(texts)
    main = comparison.describe_metric(outcome.metric).title
    texts.insert(head.index(main) + 1, _INTERVAL, "–")
    for name, (low, high) in outcome.intervals.iterrows():
        if not np.isnan([low, high]).any():
            texts.loc[name, _INTERVAL] = f"{outcome.value(low)} to {outcome.value(high)}"
    cells = texts.astype(object)
    for column in head:
        if column in metrics:
            for name in _best_rows(outcome, metrics[column], texts[column]):
                cells.loc[name, column] = tag("strong", texts.loc[name, column])
    rows = {name: [name, *cells.loc[name]] for name in cells.index}
    groups = [
        (None, [rows[name] for name in outcome.models]),
        ("Controls", [rows[name] for name in outcome.controls]),
    ]
    of_classes = comparison.task == "classification"
    caption = (
        f"{'Per cent, m' if of_classes else 'M'}ean ± standard deviation over subjects, with equal "
        "weight for each subject. The interval is a bootstrap interval, over subjects, of the mean "
        f"{outcome.metric_name}. "
        + (
            "SEN & SPE is the mean of sensitivity and specificity, and PPR is the precision. "
            if of_classes
            else "RMSE and MAE are errors in the unit of the target, for which lower is better; "
            "CCC is the concordance correlation coefficient. "
        )
        + ("A lower Brier score is better. " if "Brier" in head else "")
        + ("The best model in each column is bold." if len(outcome.models) > 1 else "")
    )
    return join(
        [table("Scores", caption, ["model", *cells], groups), *map(_note, _doubts(outcome))]
    )


def _best_rows(outcome, metric, texts):
    """Return the models whose mean, as printed, is the best; none if there is only one model."""
    means = texts[outcome.models].str.partition(" ")[0]
    means = means[means != "–"].astype(float)
    is_error = outcome.comparison.describe_metric(metric).lower_is_better
    best = means.min() if is_error else means.max()
    return means.index[means == best] if len(outcome.models) > 1 else []


def _note(text):
    return tag("p", text, class_="muted")


def _doubts(outcome):
    """Say what to keep in mind when reading the table."""
    if len(outcome.models) > 1:
        yield (
            "The best of several models is chosen by these same scores, which makes its score "
            "somewhat optimistic. The tests below take this into account."
        )
    if outcome.low_majority:
        yield (
            f"The majority class reaches {percent(outcome.means[MAJORITY])} %, less than the "
            f"{percent(outcome.guess)} % of a guess: the tested windows are missing from their "
            "class in training, so the class counts favour another class. Chance is below the "
            "level of a guess, and permuted labels show where."
        )


def _tests(outcome):
    parts = []
    if len(outcome.between):
        shown, n_pairs = outcome.shown, outcome.between["p_value"].notna().sum()
        which = "All pairs of models"
        if len(shown) < len(outcome.between):
            which = f"The pairs with {outcome.best}"
        caption = f"{which}, corrected for {count(n_pairs, 'pair')}."
        parts.append(_test_table(outcome, "Differences between models", caption, shown))
    if len(outcome.against):
        n_models = count(outcome.against["model"].nunique(), "model")
        caption = f"Each model against its controls, corrected for {n_models} per kind of control."
        parts.append(_test_table(outcome, "Differences from controls", caption, outcome.against))
    if not parts:
        return _note(
            "There is only one model and no control, so there is nothing to compare it with."
        )
    parts.append(
        _note(
            f"Differences of {outcome.metric_name}{' in percentage points' * bool(outcome.unit)}: "
            "mean over subjects, with its 95 % bootstrap interval. p is two-sided. A "
            "difference is called established if p, "
            f"corrected by Holm's method, is below {ALPHA}. A difference that is not established "
            "may still exist."
        )
    )
    return join([*parts, *map(_note, outcome.notes)])


def _test_table(outcome, label, caption, tests):
    effect = tests["effect"].iloc[0]
    unit = "subjects" if tests["test"].iloc[0].startswith("Wilcoxon") else "folds"
    counted = f"{unit} better / worse / same"
    head = [
        "model",
        "against",
        "points" if outcome.unit else "difference",
        _INTERVAL,
        effect,
        "p",
        "p corrected",
        counted,
    ]
    any_left_out = tests["left_out"].any()
    head += ["left out"] if any_left_out else []
    rows = []
    for row in tests.itertuples():
        interval = (
            "–"
            if np.isnan(row.low)
            else f"{outcome.difference(row.low)} to {outcome.difference(row.high)}"
        )
        corrected = format_p(row.p_corrected).removeprefix("= ")
        counts = f"{row.better} / {row.worse} / {row.same}"
        cells = [
            row.model,
            "itself, labels permuted" if is_permuted(row) else row.other,
            outcome.difference(row.mean_difference),
            interval,
            signed(row.effect_size, 2),
            format_p(row.p_value).removeprefix("= "),
            tag("strong", corrected) if row.p_corrected < ALPHA else corrected,
            counts,
        ]
        rows.append([*cells, str(row.left_out)] if any_left_out else cells)
    caption = f"{caption} Test: {tests['test'].iloc[0]}."
    return table(label, caption, head, [(None, rows)], texts=("against",))


def _figures(outcome, prefix):
    if not can_draw():
        return _note('No figures, because matplotlib is not installed: pip install "skemo[plot]".')
    comparison = outcome.comparison
    models = [name for name in outcome.models if not np.isnan(outcome.means[name])]
    if not models:
        return _note("No model has scores to draw.")
    scores = "; ".join(
        f"{name} {outcome.value(outcome.means[name])}{outcome.unit}" for name in models
    )
    name = outcome.metric_name
    of_subjects = figure(
        f"{name[:1].upper()}{name[1:]} of each subject by model: means {scores}",
        "Each dot is a subject. Below the dots of each model is their mean, with its "
        "95 % bootstrap interval.",
        draw_subject_scores(comparison, models, f"{prefix}a"),
    )
    if comparison.task == "regression":
        return join([of_subjects, *_figures_of_numbers(comparison, models, prefix)])
    return join(
        [
            of_subjects,
            figure(
                f"Confusion matrices: {_say_confusion(comparison, models)}",
                "The share of each class's windows that were predicted as each class, as the mean "
                "over subjects. The small numbers are counts of windows.",
                draw_confusion(comparison, models, f"{prefix}b"),
            ),
        ]
    )


def _figures_of_numbers(comparison, models, prefix):
    """Yield the predictions against the targets, and the errors over time."""
    means = comparison.summary().xs("mean", axis=1, level=1)
    errors = "; ".join(f"{name} RMSE {means.loc[name, 'rmse']:.3g}" for name in models)
    yield figure(
        f"Predicted against given numbers: {errors}",
        "Each dot is a window, and each colour a subject. On the dashed line, the two are equal.",
        draw_predictions(comparison, models, f"{prefix}b"),
    )
    yield figure(
        f"Residuals over the windows of each subject: {errors}",
        "Predicted minus given number of each window, in the order of the windows; the thick line "
        "is the mean over subjects.",
        draw_residuals(comparison, models, f"{prefix}c"),
    )


def _say_confusion(comparison, models):
    predictions = comparison.predictions
    right = predictions.assign(right=predictions["y_true"] == predictions["y_pred"])
    by = ["model", "subject", "y_true"]
    shares = right.groupby(by)["right"].mean().groupby(["model", "y_true"]).mean()
    texts = (
        f"{name}, correct in "
        + ", ".join(f"{percent(share)} % of {label}" for label, share in shares[name].items())
        for name in models
    )
    return "; ".join(texts)


def _probabilities(outcome, prefix):
    scores = outcome.comparison.calibration()
    if scores.empty:
        return _note("No model predicts probabilities.")
    rows = {
        name: [name, *(f"{value:.3f}" for value in own)]
        for name, own in zip(scores.index, scores.to_numpy(), strict=True)
    }
    groups = [
        (None, [rows[name] for name in outcome.models if name in rows]),
        ("Controls", [rows[name] for name in outcome.controls if name in rows]),
    ]
    caption = (
        "Over all tested windows, where lower is better: the Brier score, the logarithmic loss in "
        "nats, and the expected calibration error, which is the mean distance between predicted "
        "probability and share correct."
    )
    head = ["model", "Brier", "log loss", "calibration error"]
    parts = [table("Calibration", caption, head, groups)]
    models = [name for name in outcome.models if name in rows]
    if can_draw() and models:
        errors = "; ".join(f"{name} {scores.loc[name, 'ece']:.3f}" for name in models)
        parts.append(
            figure(
                f"Calibration curves: calibration error {errors}",
                "The share of correct predictions, by the probability that the model gives them. "
                "On the dashed line the two agree; below it the model is overconfident. Larger "
                "dots stand for more windows.",
                draw_calibration(outcome.comparison, models, f"{prefix}c"),
            )
        )
    return join(parts)


def _chosen(chosen):
    if chosen.empty:
        return None
    rows = []
    for model, own in chosen.groupby("model", sort=False):
        for name in dict.fromkeys(key for params in own["params"] for key in params):
            values = pd.Series([repr(params[name]) for params in own["params"] if name in params])
            counts = ", ".join(f"{value}: {n}" for value, n in values.value_counts().items())
            rows.append([model, name, counts])
    caption = "The number of folds that chose each value, each from its own training rows."
    return table(
        "Chosen hyper-parameters",
        caption,
        ["model", "parameter", "value: folds"],
        [(None, rows)],
        texts=("parameter", "value: folds"),
    )


def _leakage(comparison):
    found = comparison.leakage
    if found.empty:
        return tag("p", "No subject, trial or second is on both sides of a fold.")
    declared = found["kind"] == "per-subject normalisation"
    by_design = found["kind"].isin(comparison.about_protocol.by_design)
    said = {
        "This should not be there:": found[~declared & ~by_design],
        "This is part of the protocol:": found[by_design],
        "This is legitimate if it is declared, and needs several windows of a new person:": (
            found[declared]
        ),
    }
    faults = set(found.loc[~declared & ~by_design, "kind"])
    parts = []
    for heading, rows in said.items():
        if len(rows):
            lines = bullets(format_findings(rows).splitlines())
            is_fault = rows["kind"].iloc[0] in faults
            parts.append(tag("div", tag("p", heading), lines, class_="alarm" if is_fault else None))
    return join(parts)


def _troubles(comparison):
    data = comparison.details["data"]
    parts = [
        tag(
            "div",
            tag("p", f"{n} of {data['n_windows']} windows of {name} are missing."),
            class_="alarm",
        )
        for name, n in data.get("missing", {}).items()
        if n > data["n_windows"] / 2
    ]
    for (model, error), own in comparison.failures.groupby(["model", "error"], sort=False):
        text = f"{model} failed in {len(own)} of {comparison.n_fits} fits: {error}"
        parts.append(
            tag(
                "div",
                tag("p", text),
                fold_away("Traceback of the first failure", code(own["traceback"].iloc[0])),
                class_="alarm",
            )
        )
    rows = [
        [message, category, ", ".join(own["model"].unique()), len(own)]
        for (category, message), own in comparison.warnings.groupby(
            ["category", "message"], sort=False
        )
    ]
    if rows:
        head = ["warning", "category", "models", "times"]
        parts.append(table("Warnings", "", head, [(None, rows)], texts=("category", "models")))
    if comparison.failures.empty and not rows:
        parts.append(tag("p", "No fit failed or gave a warning."))
    return join(parts)


def _fold_scores(outcome):
    comparison = outcome.comparison
    names = [*outcome.models, *outcome.controls]
    scores = comparison.fold_scores()
    keys = ["repeat", "fold"]
    sizes = scores.groupby(keys)[["n_train", "n_windows"]].first()
    tested = comparison.scores.groupby(keys)["subject"].unique().map(_name_some)
    values = scores.pivot(index=keys, columns="model", values=outcome.metric).reindex(columns=names)
    rows = []
    for (repeat, fold), own in values.head(_MAX_FOLDS).iterrows():
        number = f"{repeat}.{fold}" if comparison.details["n_repeats"] > 1 else f"{fold}"
        n_train, n_test = sizes.loc[(repeat, fold)]
        rows.append(
            [
                f"{number}: {tested[repeat, fold]}",
                f"{n_train}",
                f"{n_test}",
                *map(outcome.value, own),
            ]
        )
    name = outcome.metric_name
    percents = " in per cent" if outcome.unit else ""
    caption = f"{name[:1].upper()}{name[1:]} of each fold{percents}, over all of its windows."
    if len(values) > _MAX_FOLDS:
        caption += f" Only the first {_MAX_FOLDS} of {len(values)} folds are shown."
    head = ["fold: subjects", "training windows", "tested windows", *names]
    texts = comparison.details["models"]
    models = [join([tag("p", tag("strong", name)), code(texts[name])]) for name in outcome.models]
    return join(
        [
            fold_away(
                "Scores of each fold", table("Scores of each fold", caption, head, [(None, rows)])
            ),
            fold_away("The models as text", *models),
        ]
    )


def _name_some(names, n_shown=4):
    shown = ", ".join(map(str, names[:n_shown]))
    return f"{shown} and {len(names) - n_shown} more" if len(names) > n_shown else shown


def _methods(outcome):
    """Return the sentences on methods and results that a paper needs."""
    comparison, details = outcome.comparison, outcome.comparison.details
    data, n, seed = details["data"], details["n_repeats"], details["random_state"]
    verb = "classified" if comparison.task == "classification" else "predicted"
    target = f", target {details['target']}" if "target" in details else ""
    known = comparison.about_protocol.known_subjects
    said = [
        f"{data['n_windows']} windows of {count(data['n_subjects'], 'subject')} were {verb}{target}"
        f" (skemo {details['versions'].get('skemo', '')}).",
        f"Protocol: {comparison.title}; {count(details['n_folds'], 'fold')}, "
        f"{count(n, 'repetition')}, {'no fixed seed' if seed is None else f'seed {seed}'}; tested "
        f"on people who were{'' if known else ' not'} in the training data.",
    ]
    declared = _describe_declared(comparison)
    if declared:
        said.append(f"Transductive: {'; '.join(declared)}.")
    else:
        said.append("No step of skemo used other windows of the tested person.")
    if not comparison.chosen.empty:
        names = ", ".join(comparison.chosen["model"].unique())
        said.append(f"Hyper-parameters of {names} were chosen in each fold, on its training data.")
    low, high = outcome.intervals.loc[outcome.best]
    score = f"{outcome.value(outcome.means[outcome.best])}{outcome.unit}"
    if np.isnan(outcome.means[outcome.best]):
        said.append(headline(outcome))
    else:
        said.append(
            f"{outcome.best}: {outcome.metric_name} {score}, mean over "
            f"{count(outcome.n_subjects, 'subject')}, 95 % bootstrap interval "
            f"{outcome.value(low)} to {outcome.value(high)}{outcome.unit}."
        )
    tested = outcome.against.dropna(subset="p_value")
    for row in tested[tested["model"] == outcome.best].itertuples():
        control = "permuted labels" if is_permuted(row) else row.other
        said.append(
            f"Against {control}: {outcome.difference(row.mean_difference)} "
            f"[{outcome.difference(row.low)}, {outcome.difference(row.high)}], {row.test}, "
            f"p {format_p(row.p_corrected)} (Holm)."
        )
    return join([tag("p", " ".join(said)), *map(_note, comparison.notes())])


def _reproduce(comparison):
    return join(
        [code(comparison.details["code"], copy=True), _note("A click selects the whole call.")]
    )
