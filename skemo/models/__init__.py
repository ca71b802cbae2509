"""Estimators: the two fusion networks as classifiers, and classical baselines.

`modality_aware` and `cross_modal` each define a classifier derived from the one in `classifier`;
`saving` writes them to a file. `baselines` has SVM, random forest, LDA and the majority class.
"""
