"""
A recording and its windows
===========================

Look at the raw signals first. :class:`skemo.RecordingDisplay` draws a recording as it is, with
one panel per modality: the heartbeats on the ECG, the skin conductance with its tonic part, the
phasic part in the panel below, the labelled time shaded, and the windows that
:func:`skemo.segment` cut.

In this example, an electrode came off between 38 and 43 s, and the interval is marked as
excluded. The two windows that overlap with it are hollow: they were dropped.
``windows.attrs["segment"]`` has their number.
"""

from dataclasses import replace

import matplotlib.pyplot as plt

import skemo
from skemo.datasets import make_emotion_recordings

recording = make_emotion_recordings(n_subjects=1, n_trials=2, random_state=0)[0]
recording = replace(recording, excluded=[(38, 43)])
windows = skemo.segment(recording, duration=10.0)
print(recording)
print(windows.attrs["segment"])

# %%

skemo.RecordingDisplay.from_recording(recording, windows=windows)
plt.show()
