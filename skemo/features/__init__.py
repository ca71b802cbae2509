"""scikit-learn transformers of windows, and what is derived from whole recordings.

`hrv`, `eda`, `differential_entropy` and `resampling` have a transformer each, on `base`;
`modalities` puts them side by side, `per_subject` standardises each subject by their own rows, and
`whole_recordings` finds beats and skin-conductance components before windows are cut.
"""
