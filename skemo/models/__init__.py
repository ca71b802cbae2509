"""Estimators: the two fusion networks as classifiers, and classical baselines.

`modality_aware` and `cross_modal` have a classifier each, on `classifier`, which `saving` writes
to a file; `baselines` has SVM, random forest, LDA and the majority class.
"""
