"""
A recording and its windows
===========================

Look at the raw signals first. :class:`skemo.RecordingDisplay` draws a recording as it is: a panel
a modality, heartbeats on the ECG, the tonic part over the skin conductance and the phasic part
below it, labelled time shaded, and the windows that :func:`skemo.segment` cut.

Here an electrode came off between 38 and 43 s, and somebody noted it. The two windows that touch
this time are hollow: they were dropped, and ``windows.attrs["segment"]`` counts them.
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
