"""Evaluation by subject: protocols, leaks, comparisons, scores and statistics.

`protocols` and `splitters` make folds, `leakage` and `scaling` find what they share; `compare`
fits and tests models by `fits`, `precompute`, `nested` and `controls`, and keeps results by
`store` under a `digest`; `comparison` is what it returns, with `scores`, `statistics` and `calibration`.
"""
