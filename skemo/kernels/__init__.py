"""Numerical functions of signals: arrays in, arrays out, on NumPy and SciPy alone.

`filters`, `resampling` and `standardize` prepare signals. `heartbeats` finds beats: candidates
from `beat_candidates` are judged by `beat_judgement`, `leads` joins several leads, and
`neurokit_beats` runs other detectors. `beat_correction` corrects beats, and `hrv` measures their
variability. `skin_conductance` separates tonic and phasic parts by filters, `cvxeda` (on `bateman`)
by convex optimisation. `entropy` has the differential entropy.
"""
