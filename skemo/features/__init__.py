"""scikit-learn transformers of windows, and what is derived from whole recordings.

`hrv`, `eda`, `differential_entropy`, `respiration`, `temperature`, `accelerometer`, `emg`,
`resampling` and `quality` have one transformer each, built on `base`. `modalities` puts them side
by side, and `per_subject` standardises each subject by their own rows. `whole_recordings` finds
beats and skin-conductance components, and `artefacts` removes artefacts, before windows are cut.
"""
