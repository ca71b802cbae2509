"""Leading steps computed once give what they give in every fold."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
from sklearn.svm import SVC

import skemo
from skemo import (
    DifferentialEntropyTransformer,
    EDATransformer,
    HRVTransformer,
    ModalityAwareAttentionClassifier,
    PerSubject,
    ResampleTransformer,
    make_lda,
    make_modality_transformer,
    make_svm,
    precompute,
    segment,
)
from skemo.datasets import fetch_eegmat, make_emotion_recordings

GRID = {"classifier__C": [0.1, 10.0]}


@pytest.fixture(scope="module")
def recordings():
    """Windows of simulated recordings, their labels and their subjects."""
    windows = segment(
        make_emotion_recordings(4, 2, 40.0, effect_size=0.3, random_state=0), duration=10.0
    )
    # Out of order, and with an index that says nothing about it.
    windows = windows.iloc[np.random.default_rng(0).permutation(len(windows))]
    windows.index = np.arange(len(windows)) // 3
    return windows, windows["label"].to_numpy(), windows["subject"].to_numpy()


def make_features(**modalities):
    hrv = HRVTransformer(output="features", features=["HRV_MeanNN", "HRV_RMSSD"])
    return make_modality_transformer(ecg=hrv, eeg=DifferentialEntropyTransformer(), **modalities)


def make_network(*first):
    settings = {"n_filters": 2, "depth": 1, "max_epochs": 2, "device": "cpu", "random_state": 0}
    return make_pipeline(*first, ModalityAwareAttentionClassifier(**settings))


MODELS = {
    "svm": make_svm(make_features(eda=EDATransformer(features="all"))),
    "arrays": make_lda(clone(make_features()).set_output(transform="default")),
    "nested": make_lda(
        make_pipeline(
            make_modality_transformer(eeg="passthrough"), DifferentialEntropyTransformer()
        )
    ),
    "followed": make_pipeline(make_features(), Normalizer(), StandardScaler(), SVC()),
    "per subject": make_svm(make_pipeline(make_features(subject="passthrough"), PerSubject())),
    "network": make_network(
        make_modality_transformer(
            ecg=HRVTransformer(output="series"),
            eeg=DifferentialEntropyTransformer(output="map", sub_windows=2),
            eda=ResampleTransformer(rate=4),
        )
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_scores_are_those_of_the_whole_model_to_the_bit(name, recordings):
    X, y, subjects = recordings
    options = {"cv": GroupKFold(3), "groups": subjects, "return_train_score": True}
    options["return_estimator"] = True
    table, rest = precompute(MODELS[name], X)
    ours, theirs = (
        cross_validate(rest, table, y, **options),
        cross_validate(MODELS[name], X, y, **options),
    )
    for score in ("test_score", "train_score"):
        np.testing.assert_array_equal(ours[score], theirs[score])
    for part, whole in zip(ours["estimator"], theirs["estimator"], strict=True):
        np.testing.assert_array_equal(part.predict(table), whole.predict(X))


@pytest.mark.parametrize("name", MODELS)
def test_features_are_those_of_a_fold_to_the_bit(name, recordings):
    X, _, _ = recordings
    rows = np.arange(0, len(X), 3)
    ours, _ = precompute(MODELS[name], X)
    fold, _ = precompute(MODELS[name], X.iloc[rows])
    assert ours is not X
    ours, fold = pd.DataFrame(ours).iloc[rows], pd.DataFrame(fold)
    for column in ours:
        np.testing.assert_array_equal(np.stack(ours[column].array), np.stack(fold[column].array))


def test_recorded_windows_have_the_same_bits_alone_and_among_others(data_home):
    recordings = fetch_eegmat(data_home / "eegmat", subjects=["00"])
    X = segment(recordings, duration=10.0)
    model = make_svm(make_features())
    table, _ = precompute(model, X)
    alone = pd.concat([precompute(model, X.iloc[[row]])[0] for row in (3, 17, len(X) - 1)])
    pd.testing.assert_frame_equal(alone, table.loc[alone.index], check_exact=True)


def test_a_search_over_the_rest_is_the_search_over_the_whole(recordings):
    X, y, subjects = recordings
    whole = GridSearchCV(MODELS["svm"], GRID, cv=GroupKFold(2)).fit(X, y, groups=subjects)
    for model in (MODELS["svm"], GridSearchCV(MODELS["svm"], GRID, cv=GroupKFold(2))):
        table, rest = precompute(model, X)
        if model is MODELS["svm"]:
            rest = GridSearchCV(rest, GRID, cv=GroupKFold(2))
        rest.fit(table, y, groups=subjects)
        assert rest.best_params_ == whole.best_params_
        for key in ("mean_test_score", "split0_test_score"):
            np.testing.assert_array_equal(rest.cv_results_[key], whole.cv_results_[key])


@pytest.mark.parametrize(
    "name",
    [
        "features__modalitytransformer__eeg__sub_windows",
        "features__modalitytransformer",
        "features",
    ],
)
def test_a_search_that_changes_a_leading_step_is_left_whole(name, recordings):
    X, _, _ = recordings
    features = make_pipeline(make_features(subject="passthrough"), PerSubject())
    model = Pipeline([("features", features), ("svc", SVC())])
    table, rest = precompute(GridSearchCV(model, {name: [1, 2]}), X)
    assert table is X
    assert len(rest.estimator.steps[0][1].steps) == 2
    table, rest = precompute(GridSearchCV(model, {"features__persubject": [None]}), X)
    assert table is not X
    assert len(rest.estimator.steps[0][1].steps) == 1


class Foreign(TransformerMixin, BaseEstimator):
    """Says of itself that it learns nothing, and writes into its input."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        X.iloc[:, 0] = 0.0
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


def choose_eeg(X):
    return ["eeg"]


ENTROPY = DifferentialEntropyTransformer()
LEFT_WHOLE = {
    "a step of one's own": make_pipeline(Foreign(), SVC()),
    "scikit-learn's steps": make_pipeline(FunctionTransformer(), Normalizer(), SVC()),
    "beside a step of one's own": make_pipeline(
        ColumnTransformer([("eeg", ENTROPY, ["eeg"]), ("own", Foreign(), ["ecg"])]), SVC()
    ),
    "columns that are chosen by a function": make_pipeline(
        ColumnTransformer([("eeg", ENTROPY, choose_eeg)]), SVC()
    ),
    "a union": make_pipeline(FeatureUnion([("eeg", ENTROPY)]), SVC()),
    "nothing to compute": Pipeline([("none", "passthrough"), ("svc", SVC())]),
    "no pipeline": SVC(),
}


@pytest.mark.parametrize("name", LEFT_WHOLE)
def test_what_is_not_known_to_look_at_single_windows_is_left_whole(name, recordings):
    X, _, _ = recordings
    before = X.copy()
    table, rest = precompute(LEFT_WHOLE[name], X)
    assert table is X
    assert rest is not LEFT_WHOLE[name]
    assert repr(rest) == repr(LEFT_WHOLE[name])
    pd.testing.assert_frame_equal(X, before)


def test_steps_behind_one_that_is_left_keep_their_names(recordings):
    X, _, _ = recordings
    model = make_pipeline(make_modality_transformer(eeg=ENTROPY), Foreign(), SVC())
    _, rest = precompute(model, X)
    assert [name for name, _ in rest.steps] == ["foreign", "svc"]


def test_a_comparison_computes_steps_that_models_share_once(recordings, monkeypatch):
    X, _, _ = recordings
    n_rows, transform = [], DifferentialEntropyTransformer.transform

    def watch(self, windows):
        n_rows.append(len(windows))
        return transform(self, windows)

    monkeypatch.setattr(DifferentialEntropyTransformer, "transform", watch)
    models = {"SVM": make_svm(make_features()), "LDA": make_lda(make_features())}
    skemo.compare(models, X, X["label"], X)
    assert n_rows == [len(X)]


def test_a_comparison_records_steps_that_fail_in_the_folds_where_they_do(recordings):
    X, y, subjects = recordings
    X = X.copy()
    X["eeg"] = X["eeg"].array.copy()
    X["eeg"].array.values[0] = np.inf
    models = {
        "SVM": make_svm(make_modality_transformer(eeg=ENTROPY)),
        "chance": skemo.make_dummy("passthrough"),
    }
    with pytest.warns(UserWarning, match="'SVM' failed in 4 of 4 fits"):
        result = skemo.compare(models, X, y, subjects)
    assert result.failures["model"].unique().tolist() == ["SVM"]


# Missing windows


def test_a_comparison_warns_of_a_missing_modality_and_counts_its_windows(recordings):
    windows, y, _ = recordings
    windows = windows.copy()
    windows.loc[windows.index[:6], "eda"] = np.nan
    features = make_modality_transformer(
        ecg=HRVTransformer(signal="ppg", min_beats=100), eda=EDATransformer()
    )
    with pytest.warns(UserWarning, match="HRVTransformer: .* windows of 'ecg' .* come out missing"):
        comparison = skemo.compare({"LDA": make_lda(features)}, windows, y, groups=windows)
    missing = comparison.details["data"]["missing"]
    assert missing["ecg"] == len(windows)
    assert missing["eda"] == windows["eda"].isna().sum() > 0
    assert missing["eeg"] == 0
