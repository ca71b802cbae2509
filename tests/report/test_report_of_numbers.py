"""The report on regressors, on several targets, and on what has to be declared."""

import re
from html import unescape

import numpy as np
import pandas as pd
import pytest
from comparing import lay_out, make_features
from sklearn.svm import SVR

from skemo import PerSubject, compare, make_lda, make_ridge, make_svm, write_report

MODELS = {"ridge": make_ridge("passthrough", task="regression"), "SVR": SVR()}


def read(path):
    """The words of a page, and the headings of its sections."""
    page = path.read_text(encoding="utf-8")
    headings = re.findall(r"<h[23][^>]*>(.*?)</h[23]>", page)
    words = re.sub(r"<svg.*?</svg>|<style.*?</style>", " ", page, flags=re.DOTALL)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", words))), headings, page


@pytest.fixture(scope="module")
def numbers():
    X, _, subjects = make_features(n_subjects=8, effect=0)
    y = X[:, :2] + np.random.default_rng(1).normal(size=(len(X), 2))
    return X, pd.DataFrame(y, columns=["arousal", "valence"]), subjects


def test_the_outcome_of_numbers_is_said_by_their_concordance(numbers, tmp_path):
    X, y, subjects = numbers
    result = compare(MODELS, X, y["arousal"], subjects, controls=["mean", "permuted"])
    text, headings, page = read(write_report(result, tmp_path / "report.html"))
    mean = result.summary().loc["ridge", ("concordance", "mean")]
    assert (
        f"ridge has the highest concordance correlation of {mean:.2f} for arousal on average"
        in text
    )
    assert "better than the mean of training (0.00)" in text
    assert "Probabilities" not in headings
    assert "Confusion" not in page
    assert page.count("<svg") == 3
    for cell in result.table().loc["ridge"]:
        assert cell in text
    test = result.test("concordance", reference="mean of training").iloc[0]
    assert f"{test['mean_difference']:+.3f}" in text
    assert "Protocol: leave-one-subject-out; 8 folds, 1 repetition, seed 0" in text


def test_the_best_model_by_an_error_has_the_lowest(numbers, tmp_path):
    X, y, subjects = numbers
    options = {"protocol": "leave-one-trial-out", "controls": ["mean"]}
    result = compare(MODELS, X, y["arousal"], lay_out(subjects, length=5), **options)
    text, _, _ = read(write_report(result, tmp_path / "report.html"))
    mean = result.summary()["rmse", "mean"]
    best = mean[list(MODELS)].idxmin()
    assert f"{best} has the lowest root-mean-square error of {mean[best]:.2f}" in text
    assert f"that it is better than the mean of training ({mean['mean of training']:.2f})" in text


def test_each_target_has_its_section(numbers, tmp_path):
    X, y, subjects = numbers
    result = compare(MODELS, X, y, subjects)
    text, headings, page = read(write_report(result, tmp_path / "report.html"))
    assert [name for name in headings if name in y] == ["arousal", "valence"]
    for name, one in result.by_target().items():
        best = one.summary()["concordance", "mean"]
        assert f"correlation of {best.max():.2f} for {name} on average" in text
    assert page.count("<svg") == 6


def test_what_is_transductive_is_in_the_first_line_and_in_the_sentences_for_a_paper(tmp_path):
    X, y, subjects = make_features()
    table = pd.DataFrame(X, columns=list("abc")).assign(subject=subjects)
    result = compare({"own": make_svm(PerSubject())}, table, y, subjects)
    text, _, _ = read(write_report(result, tmp_path / "report.html"))
    first = text[: text.index("What was run")]
    assert "It is transductive (PerSubject): it needs several windows of a new person." in first
    paper = text[text.rindex("What to write in a paper") :]
    assert "Transductive: own: PerSubject standardises each subject by the subject's own" in paper
    plain = compare({"LDA": make_lda("passthrough")}, X, y, subjects)
    text, _, _ = read(write_report(plain, tmp_path / "plain.html"))
    assert "No step of skemo used other windows of the tested person." in text
    assert "It is transductive" not in text
