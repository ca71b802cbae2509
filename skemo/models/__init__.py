"""Estimators: the two fusion networks, networks of one's own, and classical baselines.

`base` holds everything that network estimators share; `classifier` and `regressor` add the
targets, and take any module (`own_module`). `modality_aware` and `cross_modal` derive from them.
`targets` checks labels and numbers. `saving` writes whole models to files and reads them
(`network_files` has the networks in them), and `onnx` writes networks for other devices.
`baselines` has ridge regression, SVM, random forest, LDA and others on features.
"""
