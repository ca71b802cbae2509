"""A comparison as one web page to send to a colleague: what was run, and what it shows."""

import dataclasses
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from skemo._escape import to_printable
from skemo._files import write_whole
from skemo.report.html import bullets, facts, join, table, tag
from skemo.report.outcome import Outcome, find_outcome, headline, verdicts
from skemo.report.sections import data_facts, run_facts, sections_of, software_facts

if TYPE_CHECKING:
    from skemo.evaluation.comparison import Comparison


def write_report(
    comparisons: "Comparison | Mapping[str | None, Comparison]",
    path: str | Path,
    *,
    title: str | None = None,
) -> Path:
    """Write one HTML file that says what was compared, and what the result is.

    The file is self-contained, without network access or scripts, so it can be sent by mail. It
    has the outcome in words, what was run, the table of scores, tests, figures, the calibration
    of the probabilities, the choices of searches, the leakage found between training and test
    windows, failures and warnings, the scores of each fold, the models, sentences for a paper, and
    the call that reproduces the comparison. Figures need matplotlib; without it, the report says
    so. A comparison of several targets has a section for each.

    Parameters
    ----------
    comparisons : Comparison, or dict of str to Comparison
        Several comparisons are given by their headings, and have one section each. If one uses
        an optimistic protocol and another, of the same models and windows, does not, and their
        headings differ only in the name of the protocol, the gap between them is shown.
    path : str or Path
        The file to write. It is never left incomplete, and its folder is created if needed.
    title : str or None, default=None
        Heading of the page; if None, it names the protocols.

    Returns
    -------
    Path
        Path of the file.

    Raises
    ------
    ValueError
        There is no comparison, or one of several has the heading None.

    See Also
    --------
    skemo.compare : Compare models on the same folds.

    Notes
    -----
    Differences between models are tested pair by pair and corrected for the number of all pairs,
    because the best model is only known from the scores. With more than four models, only the
    pairs with the best one are shown. Whether each model differs from the majority class, and
    from itself on permuted labels, are two further questions, each corrected for the number of
    models.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from skemo import compare, make_svm, write_report
    >>> y, subjects = np.tile(["rest", "stress"], 30), np.repeat(["a", "b", "c"], 20)
    >>> X = np.random.default_rng(0).normal(size=(60, 2)) + 5 * (y == "stress")[:, None]
    >>> result = compare({"SVM": make_svm("passthrough")}, X, y, subjects)
    >>> write_report(result, f"{tempfile.mkdtemp()}/report.html").name
    'report.html'
    """
    outcomes = find_outcomes(
        comparisons if isinstance(comparisons, Mapping) else {None: comparisons}
    )
    if title is None:
        protocols = dict.fromkeys(one.comparison.title for one in outcomes.values())
        title = f"Comparison by {', '.join(protocols)}"
    return write_outcomes(outcomes, path, title)


def find_outcomes(given: "Mapping[str | None, Comparison]") -> dict[str | None, Outcome]:
    """Return the outcome of each target of each comparison, by the heading of its section."""
    if not given:
        raise ValueError(
            "There is no comparison to report: pass a Comparison, or a dict from headings to "
            "Comparisons."
        )
    if len(given) > 1 and None in given:
        raise ValueError("Only a single comparison may have the heading None: name each of them.")
    return {
        heading: find_outcome(_with_printable_names(one))
        for heading, one in _by_target(given).items()
    }


def write_outcomes(outcomes: Mapping[str | None, Outcome], path: str | Path, title: str) -> Path:
    """Write a report; sections are computed only for outcomes that do not have them yet."""
    body = _single_page(title, outcomes) if len(outcomes) == 1 else _page(title, outcomes)
    template = Template(files("skemo.report").joinpath("template.html").read_text(encoding="utf-8"))
    page = template.substitute(title=join([title]), body=body, version=version("skemo"))
    path = Path(path)
    write_whole(path, page)
    return path


def _by_target(by_heading):
    """Give each target of a comparison its own heading."""
    return {
        ", ".join(filter(None, (heading, name))) or None: one
        for heading, comparison in by_heading.items()
        for name, one in comparison.by_target().items()
    }


def _with_printable_names(comparison):
    """Return the comparison; names that matplotlib cannot draw become escape sequences."""
    predictions = comparison.predictions
    names = [*comparison.models, *predictions["subject"].unique()]
    if comparison.task == "classification":
        names += list(predictions["y_true"].unique())
    if all(str(name) == to_printable(str(name)) for name in names):
        return comparison

    def printable(value):
        return to_printable(value) if isinstance(value, str) else value

    tables = {
        field.name: getattr(comparison, field.name).map(printable).rename(columns=printable)
        for field in dataclasses.fields(comparison)
        if isinstance(getattr(comparison, field.name), pd.DataFrame)
    }
    models = {printable(name): text for name, text in comparison.details["models"].items()}
    declared = comparison.details.get("declared", {})
    declared = {printable(name): steps for name, steps in declared.items()}
    details = {**comparison.details, "models": models, "declared": declared}
    return dataclasses.replace(comparison, **tables, details=details)


def _single_page(title, outcomes):
    ((heading, outcome),) = outcomes.items()
    run = [*data_facts(outcome), *run_facts(outcome), *software_facts(outcome)]
    sections = [("What was run", facts(run)), *sections_of(outcome, "c1").items()]
    return join(
        [
            tag("h1", title),
            *([tag("p", heading, class_="muted")] if heading else []),
            _say_outcome(outcome),
            _contents(sections, "c1"),
            *_lay_out("h2", sections, "c1"),
            _footer(),
        ]
    )


def _page(title, outcomes):
    """Lay out one section per comparison, after what they share and the gaps between them."""
    common = [data_facts(one) + software_facts(one) for one in outcomes.values()]
    shared = [pair for pair in common[0] if all(pair in others for others in common)]
    gaps = _gaps(outcomes)
    bodies = []
    for i, (heading, outcome) in enumerate(outcomes.items()):
        own = [*common[i], *run_facts(outcome)]
        prefix = f"c{i + 1}"
        run = facts([pair for pair in own if pair not in shared])
        sections = [("What was run", run), *sections_of(outcome, prefix).items()]
        body = join([_say_outcome(outcome), *_lay_out("h3", sections, prefix)])
        bodies.append((heading, body))
    top = {"Common to all comparisons": shared and facts(shared), "The gap between protocols": gaps}
    parts = [*((heading, content) for heading, content in top.items() if content), *bodies]
    return join(
        [
            tag("h1", title),
            _say_outcomes(outcomes),
            _contents(parts, "part"),
            *_lay_out("h2", parts, "part"),
            _footer(),
        ]
    )


def _lay_out(level, sections, prefix):
    for i, (heading, content) in enumerate(sections):
        name = f"{prefix}-s{i + 1}"
        yield tag("section", tag(level, heading, id=name), content, aria_labelledby=name)


def _contents(sections, prefix):
    links = (
        tag("li", tag("a", heading, href=f"#{prefix}-s{i + 1}"))
        for i, (heading, _) in enumerate(sections)
    )
    return tag("nav", tag("ul", *links), aria_label="Contents")


def _footer():
    return tag("footer", f"Written by skemo {version('skemo')}. This file is self-contained.")


def _say_outcome(outcome):
    if outcome.comparison.optimistic:
        return tag("div", *_optimism(headline(outcome)), class_="alarm", role="note")
    said = verdicts(outcome)
    more = [tag("p", " ".join(said))] if said else []
    return tag("div", tag("p", headline(outcome), class_="lead"), *more, class_="outcome")


def _optimism(said):
    yield tag("p", tag("strong", "Optimistic: these scores say nothing about new people."))
    yield tag(
        "p",
        "The models had seen the tested subjects, and neighbouring windows of the same trials. "
        f"In part, they recognise the person and the minute that a window comes from. {said} "
        "The differences and tests below hold only for people that the models know.",
    )


def _say_outcomes(outcomes):
    """Say the outcome of each comparison, with optimistic protocols in a separate box."""
    said = {False: [], True: []}
    for heading, outcome in outcomes.items():
        text = join([tag("strong", f"{heading}."), " ", headline(outcome)])
        said[outcome.comparison.optimistic].append(text)
    parts = []
    if said[False]:
        parts.append(tag("div", bullets(said[False]), class_="outcome"))
    if said[True]:
        warning = (
            "Optimistic: these scores say nothing about new people, and are here for comparison "
            "only."
        )
        content = [tag("p", tag("strong", warning)), bullets(said[True])]
        parts.append(tag("div", *content, class_="alarm", role="note"))
    return join(parts)


def _gaps(outcomes):
    """Show what each optimistic protocol adds to an honest one of the same models and windows."""
    tables = []
    for name, optimistic in outcomes.items():
        for other, honest in outcomes.items():
            if honest.comparison.optimistic or not optimistic.comparison.optimistic:
                continue
            if _same_but_protocol(name, optimistic.comparison, other, honest.comparison):
                tables.append(_gap_table(name, optimistic.comparison, other, honest))
    return join(tables) if tables else None


def _same_but_protocol(name, one, other_name, other):
    same = all(one.details[what] == other.details[what] for what in ("data", "models"))
    rests = [text.replace(c.protocol, "") for text, c in ((name, one), (other_name, other))]
    # Headings without the names of their protocols do not say whether anything else differs.
    name_no_protocol = [name, other_name] == rests
    return same and (name_no_protocol or rests[0] == rests[1])


def _gap_table(name, optimistic, other_name, honest):
    gap = honest.comparison.gap(optimistic)
    rows = [
        [
            model,
            honest.value(own),
            honest.value(other),
            honest.difference(difference),
            "–" if np.isnan(low) else f"{honest.difference(low)} to {honest.difference(high)}",
        ]
        for model, own, other, difference, low, high in gap.itertuples()
        if model in honest.models
    ]
    tested = "people that the models know"
    if honest.comparison.about_protocol.known_subjects:
        tested = "neighbours of the training windows"
    score = f"{honest.metric_name[:1].upper()}{honest.metric_name[1:]}"
    in_percent, in_points = (" in per cent", ", in percentage points,") if honest.unit else ("", "")
    caption = (
        f"{score}{in_percent}, mean over subjects. The gap{in_points} is what {name} adds to "
        f"{other_name} by testing on {tested}."
    )
    head = ["model", *gap.columns[:3], "95 % interval"]
    return table(f"Gap from {other_name} to {name}", caption, head, [(None, rows)])
