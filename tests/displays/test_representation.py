"""The representation space: measures of separation, projections, and what is drawn."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import davies_bouldin_score, silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skemo import ModalityAwareAttentionClassifier, SignalArray, signal_frame
from skemo.displays.representation import RepresentationDisplay, class_separation, project

plt = pytest.importorskip("matplotlib.pyplot")

LABELS = np.array(["calm", "stress"])


def two_clusters(n_windows=400, distance=4.0, n_features=3, seed=0):
    """Gaussian clusters of unit variance along each axis, `distance` apart along the first."""
    y = np.arange(n_windows) % 2
    values = np.random.default_rng(seed).normal(size=(n_windows, n_features))
    values[:, 0] += distance * y
    return values, LABELS[y]


# Separation


def test_the_fisher_ratio_of_two_gaussian_clusters_is_that_of_the_formula():
    values, y = two_clusters(n_windows=40_000, distance=4.0, n_features=3)
    between, within = 4.0**2 / 4, 3.0
    found = class_separation(values[:2000], y[:2000])["fisher_ratio"]
    assert found == pytest.approx(between / within, rel=0.08)


def test_separation_of_a_square_is_exact():
    points = [[0.0, 0.0], [0.0, 1.0], [4.0, 0.0], [4.0, 1.0]]
    found = class_separation(points, ["a", "a", "b", "b"])
    apart = (4 + np.sqrt(17)) / 2
    assert found["silhouette"] == pytest.approx(1 - 1 / apart)
    assert found["davies_bouldin"] == pytest.approx((0.5 + 0.5) / 4)
    assert found["fisher_ratio"] == pytest.approx(4 * 2**2 / (4 * 0.5**2))
    assert np.isnan(found["probe_balanced_accuracy"])


def test_silhouette_and_davies_bouldin_agree_with_scikit_learn():
    values, y = two_clusters(200, distance=1.5)
    found = class_separation(values, y)
    assert found["silhouette"] == pytest.approx(silhouette_score(values, y))
    assert found["davies_bouldin"] == pytest.approx(davies_bouldin_score(values, y))
    by_class = [found[f"silhouette {label}"] for label in LABELS]
    assert np.mean(by_class) == pytest.approx(
        found["silhouette"]
    )  # both classes have the same size


def test_separation_does_not_depend_on_scale_offset_or_order():
    values, y = two_clusters(100)
    subjects = np.arange(100) // 20
    order = np.random.default_rng(1).permutation(100)
    one = class_separation(values, y, subjects)
    other = class_separation(100 * values[order] + 7, y[order], subjects[order])
    pd.testing.assert_series_equal(one, other, rtol=1e-6)


def test_the_probe_is_tested_on_subjects_it_was_not_fitted_on():
    subjects = np.repeat(np.arange(8), 20)
    y = np.tile([0, 1], 80)
    # The classes of each subject differ in another direction, unknown to the other subjects.
    values = np.zeros((160, 9))
    values[np.arange(160), subjects] = 2.0 * y - 1
    assert class_separation(values, y, subjects)["probe_balanced_accuracy"] == 0.5
    values[:, 8] = y + 0.1 * np.random.default_rng(0).normal(size=160)
    assert class_separation(values, y, subjects)["probe_balanced_accuracy"] > 0.95


def test_there_is_no_probe_where_leaving_a_subject_out_leaves_one_class():
    values, y = two_clusters(40)
    assert np.isnan(class_separation(values, y, y)["probe_balanced_accuracy"])


def test_separation_of_one_class_is_refused():
    with pytest.raises(ValueError, match=r"needs windows of at least two classes, got \['calm'\]"):
        class_separation(np.ones((4, 2)), ["calm"] * 4)


def test_a_representation_that_is_the_same_for_all_windows_is_refused():
    with pytest.raises(ValueError, match="the same for all windows"):
        class_separation(np.ones((4, 2)), ["calm", "calm", "stress", "stress"])


# Projections


def test_pca_keeps_distances_in_a_plane_and_names_the_share_of_variance():
    flat = np.random.default_rng(0).normal(size=(30, 2)) * [3, 1]
    turned = flat @ np.linalg.qr(np.random.default_rng(1).normal(size=(5, 2)))[0].T
    points, names = project(turned)
    distances = np.linalg.norm(flat[:, None] - flat, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(points[:, None] - points, axis=-1), distances)
    share = np.linalg.svd(flat - flat.mean(0))[1][0] ** 2 / ((flat - flat.mean(0)) ** 2).sum()
    assert names[0] == f"PC 1 ({100 * share:.0f} %)"


def test_t_sne_is_reproducible_and_works_with_few_windows():
    values, y = two_clusters(12, distance=10.0)
    points, names = project(values, "tsne", random_state=3)
    np.testing.assert_array_equal(points, project(values, "tsne", random_state=3)[0])
    assert names == ("t-SNE 1", "t-SNE 2")
    assert silhouette_score(points, y) > 0.2


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match=r"one of \['pca', 'tsne', 'umap'\], got 'mds'"):
        project(np.ones((5, 3)), "mds")


def test_the_error_without_umap_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match="pip install umap-learn"):
        project(np.ones((5, 3)), "umap")


# What is drawn


def test_each_model_has_a_panel_with_its_points_by_class():
    values, y = two_clusters(60)
    display = RepresentationDisplay.from_representations({"basic": values, "other": -values}, y)
    assert [panel.get_title() for panel in display.axes_] == ["basic", "other"]
    for name, artists in display.artists_.items():
        for label, artist in zip(LABELS, artists, strict=True):
            np.testing.assert_allclose(artist.get_offsets(), display.points[name][y == label])
    legend = display.axes_[-1].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == LABELS.tolist()
    assert display.figure_ is display.axes_[0].figure


def test_the_numbers_below_a_panel_are_measured_in_all_dimensions():
    values, y = two_clusters(60, n_features=20)
    subjects = np.arange(60) // 10
    display = RepresentationDisplay.from_representations({"net": values}, y, subjects=subjects)
    expected = class_separation(values, y, subjects)
    pd.testing.assert_series_equal(display.separation_.loc["net"], expected, check_names=False)
    below = display.axes_[0].get_xlabel()
    assert f"silhouette {expected['silhouette']:.2f}" in below
    assert f"linear probe {100 * expected['probe_balanced_accuracy']:.0f} %" in below


def test_subjects_have_markers_and_the_legend_names_them():
    values, y = two_clusters(60)
    subjects = np.array(["a", "b", "c"])[np.arange(60) // 20]
    display = RepresentationDisplay.from_representations(
        {"net": values}, y, subjects=subjects, mark_subjects=True
    )
    assert len(display.artists_["net"]) == 6
    drawn = display.artists_["net"][4].get_offsets()  # class "stress", subject "b"
    np.testing.assert_allclose(drawn, display.points["net"][(y == "stress") & (subjects == "b")])
    texts = [text.get_text() for text in display.axes_[-1].get_legend().get_texts()]
    assert texts == ["calm", "stress", "a", "b", "c"]
    with pytest.raises(ValueError, match="mark_subjects=True needs the subject of each window"):
        RepresentationDisplay(display.points, y).plot(mark_subjects=True)


def test_an_outlying_window_is_counted_but_does_not_set_the_limits():
    values, y = two_clusters(60, n_features=2)
    values[0] = [1000.0, 0.0]
    display = RepresentationDisplay.from_representations({"net": values}, y)
    assert "(1 far away, not shown)" in display.axes_[0].get_xlabel()
    assert np.ptp(display.axes_[0].get_xlim()) < 30


def test_it_draws_on_the_given_axes():
    values, y = two_clusters(20)
    figure, axes = plt.subplots(1, 2)
    display = RepresentationDisplay.from_representations({"a": values, "b": values}, y, ax=axes)
    assert list(display.axes_) == list(axes)
    assert display.figure_ is figure
    one = plt.figure().add_subplot()
    parted = one.figure
    display = RepresentationDisplay.from_representations({"a": values, "b": values}, y, ax=one)
    assert parted.axes == list(display.axes_)


def test_pipelines_and_networks_represent_windows_by_their_transform():
    values, y = two_clusters(60)
    X = signal_frame(eeg=SignalArray(values[:, np.newaxis]))
    network = ModalityAwareAttentionClassifier(max_epochs=1, depth=1, random_state=0).fit(X, y)
    display = RepresentationDisplay.from_estimator(network, X, y)
    expected = class_separation(network.transform(X), y)
    name = "ModalityAwareAttentionClassifier"
    pd.testing.assert_series_equal(display.separation_.loc[name], expected, check_names=False)

    pipeline = make_pipeline(StandardScaler(), ModalityAwareAttentionClassifier(max_epochs=1))
    pipeline.set_params(modalityawareattentionclassifier__random_state=0).fit(values, y)
    display = RepresentationDisplay.from_estimator({"net": pipeline}, values, y)
    expected = class_separation(pipeline[1].transform(pipeline[0].transform(values)), y)
    pd.testing.assert_series_equal(display.separation_.loc["net"], expected, check_names=False)


def test_a_classifier_without_a_representation_is_named():
    values, y = two_clusters(20)
    model = make_pipeline(StandardScaler(), SVC()).fit(values, y)
    with pytest.raises(ValueError, match="'SVM' ends in SVC, which has no transform"):
        RepresentationDisplay.from_estimator({"SVM": model}, values, y)


def test_a_representation_of_one_feature_is_drawn_along_a_line():
    values, y = two_clusters(60)
    lda = LinearDiscriminantAnalysis().fit(values, y)
    display = RepresentationDisplay.from_estimator({"LDA": lda}, values, y)
    assert lda.transform(values).shape == (60, 1)
    assert np.ptp(display.points["LDA"][:, 1]) == 0
    assert display.axis_names["LDA"] == ("PC 1 (100 %)", "PC 2 (0 %)")
