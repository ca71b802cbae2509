"""A comparison as one web page that can be sent to a colleague: what was run, and what it shows."""

from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from skemo._files import write_whole
from skemo.evaluation.protocols import PROTOCOLS
from skemo.report.html import bullets, facts, join, table, tag
from skemo.report.outcome import METRIC, find_outcome, headline, percent, points, verdicts
from skemo.report.sections import data_facts, run_facts, sections_of, software_facts


def write_report(comparisons, path, *, title=None):
    """Write one HTML file that says what was compared, and what came out.

    The file needs no other, no network and no scripts, so that it can be sent by mail. It has
    the outcome in words, what was run, the table, tests, figures, the probabilities'
    calibration, what searches chose, what was found on both sides of the folds, failures and
    warnings, the scores of each fold, the models, and the call that reproduces it. Figures need
    matplotlib; without it the report says so.

    Parameters
    ----------
    comparisons : Comparison, or dict of str to Comparison
        Several by heading, a section each. Where one is
        by an optimistic protocol and another of the same models and windows is not, with headings
        that differ in the protocol's name alone, the gap between them is shown.
    path : str or Path
        The file. It is complete or not there, and its folder is made if there is none.
    title : str or None, default=None
        Its heading; None names the protocols.

    Returns
    -------
    Path
        The file's.

    Raises
    ------
    ValueError
        There is no comparison, or one of several has the heading None.

    See Also
    --------
    skemo.compare : Makes a comparison.

    Notes
    -----
    Differences between models are tested pair by pair, and corrected for the number of all pairs,
    since the best is known from the scores only; of more than four models, the pairs with the
    best are shown. Each model against the majority class, and each against itself on permuted
    labels, are other questions, each corrected for the number of models.

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
    if not isinstance(comparisons, dict):
        comparisons = {None: comparisons}
    if not comparisons:
        raise ValueError("There is no comparison to report: pass a dict of heading to Comparison.")
    if len(comparisons) > 1 and None in comparisons:
        raise ValueError("Only a single comparison may have the heading None: name each of them.")
    if title is None:
        protocols = dict.fromkeys(one.title for one in comparisons.values())
        title = f"Comparison by {', '.join(protocols)}"
    outcomes = {heading: find_outcome(one) for heading, one in comparisons.items()}
    body = _single_page(title, outcomes) if len(outcomes) == 1 else _page(title, outcomes)
    template = Template(files("skemo.report").joinpath("template.html").read_text(encoding="utf-8"))
    page = template.substitute(title=join([title]), body=body, version=version("skemo"))
    path = Path(path)
    write_whole(path, page)
    return path


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
    """A section a comparison; above them what they have in common, and the gaps between them."""
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
    top = {"In all of them": shared and facts(shared), "The gap between protocols": gaps}
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
    return tag("footer", f"Written by skemo {version('skemo')}. This file needs no other.")


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
        f"What they recognise is in part whose window it is, and of which minute. {said} "
        "Differences and tests below hold for known people only.",
    )


def _say_outcomes(outcomes):
    """The outcome of each comparison, those by optimistic protocols in a box of their own."""
    said = {False: [], True: []}
    for heading, outcome in outcomes.items():
        text = join([tag("strong", f"{heading}."), " ", headline(outcome)])
        said[outcome.comparison.optimistic].append(text)
    parts = []
    if said[False]:
        parts.append(tag("div", bullets(said[False]), class_="outcome"))
    if said[True]:
        warning = (
            "Optimistic: these say nothing about new people, and are here for comparison only."
        )
        content = [tag("p", tag("strong", warning)), bullets(said[True])]
        parts.append(tag("div", *content, class_="alarm", role="note"))
    return join(parts)


def _gaps(outcomes):
    """What each optimistic protocol adds to an honest one of the same models and windows."""
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
    # Headings that do not name their protocols say nothing of what else differs.
    silent = [name, other_name] == rests
    return same and (silent or rests[0] == rests[1])


def _gap_table(name, optimistic, other_name, honest):
    gap = honest.comparison.gap(optimistic, METRIC)
    rows = [
        [
            *(model, percent(own), percent(other), points(difference)),
            "–" if np.isnan(low) else f"{points(low)} to {points(high)}",
        ]
        for model, own, other, difference, low, high in gap.itertuples()
        if model in honest.models
    ]
    whom = "people whom the models know"
    if PROTOCOLS[honest.comparison.protocol].known_subjects:
        whom = "neighbours of the training windows"
    caption = (
        f"Balanced accuracy in per cent, mean over subjects; the gap, in points, is what {name} "
        f"adds to {other_name} by testing on {whom}."
    )
    head = ["model", *gap.columns[:3], "95 % interval"]
    return table(f"Gap from {other_name} to {name}", caption, head, [(None, rows)])
