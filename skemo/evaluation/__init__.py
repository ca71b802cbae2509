"""Evaluation by subject: protocols, leaks, comparisons, scores and statistics.

`protocols` and `splitters` make the folds; `leakage` and `scaling` find what training and test
sets share. `compare` fits and tests models by means of `fits`, `precompute`, `nested` and
`controls`, and keeps finished fits in a `store` under a `digest`. `targets` are what is predicted,
classes or numbers, and `declared` says which models use other windows of the tested person. It
returns a `comparison`, which uses `scores`, `scoring`, `statistics` and `calibration`.
"""
