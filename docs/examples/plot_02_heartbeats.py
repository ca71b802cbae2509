"""
Heartbeats, RR series and heart-rate variability
================================================

From an ECG to the series of intervals, the input of a network, and to the features, the input of a
classical model.

Heartbeats are found on the whole recording (:func:`skemo.find_beats`), because a detector that
sees only one window misses beats at its edges. The RR series, that is, the intervals between
successive beats, is what :class:`skemo.HRVTransformer` passes to a network. It is padded with
zeros to the largest number of beats that a window can hold.
"""

import matplotlib.pyplot as plt
import numpy as np

import skemo
from skemo.datasets import make_emotion_recordings

recordings = make_emotion_recordings(n_subjects=8, modalities=("ecg",), random_state=1)
recordings = [skemo.find_beats(recording) for recording in recordings]
windows = skemo.segment(recordings, duration=30.0)

series = skemo.HRVTransformer(output="series", signal="beats").fit_transform(windows[["beats"]])
hrv = skemo.HRVTransformer(signal="beats").set_output(transform="pandas")
features = hrv.fit_transform(windows[["beats"]])

# %%
# The features of each window have the names that NeuroKit2 gives them:

print(features[["HRV_MeanNN", "HRV_SDNN", "HRV_RMSSD", "HRV_pNN50"]].describe().round(1))

# %%
# In aroused trials the heart rate is higher and varies less, because the data were simulated that
# way. The differences between people are larger than those between the two states, so a threshold
# on RMSSD that fits one person fails for the next. Each line joins the two means of one person.

rr = series["beats"].array.values[0, 0]
rr = rr[rr > 0]
ecg = recordings[0].signals["ecg"][0]
rate = recordings[0].sampling_rates["ecg"]
beats = recordings[0].beats["beats"]

figure, axes = plt.subplot_mosaic([["ecg", "hrv"], ["rr", "hrv"]], figsize=(9, 4.2))
figure.set_layout_engine("constrained")
shown = slice(0, int(8 * rate))
axes["ecg"].plot(np.arange(len(ecg))[shown] / rate, ecg[shown], color="#666666", linewidth=1)
found = np.round(beats[beats < 8] * rate).astype(int)
axes["ecg"].plot(found / rate, ecg[found], "o", color="#0072B2")
axes["ecg"].set(xlabel="time, s", ylabel="ECG, mV")
axes["rr"].plot(rr, ".-", color="#0072B2")
axes["rr"].set(xlabel="beat", ylabel="RR interval, ms")
means = features["HRV_RMSSD"].groupby([windows["subject"], windows["label"]]).mean().unstack()
axes["hrv"].plot(
    ["aroused", "calm"], means[["aroused", "calm"]].T, "o-", color="#0072B2", alpha=0.6
)
axes["hrv"].set(ylabel="RMSSD, ms", title="one line per person", xlim=(-0.3, 1.3))
plt.show()
