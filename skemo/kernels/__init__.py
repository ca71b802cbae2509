"""Numerical functions of signals: arrays in, arrays out, on NumPy and SciPy alone.

`filters`, `resampling` and `standardize` prepare signals; `heartbeats` finds beats and `hrv`
measures their variability; `skin_conductance` separates tonic and phasic parts by filters and
`cvxeda` (on `bateman`) by convex optimisation; `entropy` has the differential entropy.
"""
