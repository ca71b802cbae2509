"""
Tonic and phasic skin conductance
=================================

Skin conductance consists of a slow level (tonic) with responses on top (phasic).
:func:`skemo.decompose_eda` separates them on the whole recording, before it is cut into windows:
with a high-pass filter at 0.05 Hz, or by convex optimisation (cvxEDA), which explains the signal
by sparse bursts of the sudomotor nerve.

The filter takes hardly any time, but its phasic part swings below zero after a response. cvxEDA
keeps the responses positive, attributes more of the slow changes to them, and takes longer.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

import skemo
from skemo.datasets import make_emotion_recordings
from skemo.kernels.skin_conductance import skin_conductance_responses

recordings = make_emotion_recordings(n_subjects=12, modalities=("eda",), random_state=3)
recording = next(one for one in recordings if one.labels[0][2] == "aroused")
rate = recording.sampling_rates["eda"]
seconds = np.arange(recording.signals["eda"].shape[1]) / rate

figure, axes = plt.subplots(3, 1, figsize=(8, 5.4), sharex=True, layout="constrained")
axes[0].plot(seconds, recording.signals["eda"][0], color="#666666", label="measured")
axes[2].plot(seconds, recording.signals["eda"][0], color="#666666", label="measured")
for method, color in {"highpass": "#0072B2", "cvxeda": "#D55E00"}.items():
    started = time.perf_counter()
    tonic, phasic = skemo.decompose_eda(recording, method=method).signals["eda"]
    print(f"{method}: {1000 * (time.perf_counter() - started):.0f} ms")
    axes[0].plot(seconds, tonic, color=color, label=f"tonic, {method}")
    axes[1].plot(seconds, phasic, color=color, label=f"phasic, {method}")
axes[0].set(ylabel="µS")
axes[0].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
axes[1].set(ylabel="µS")
axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)

# The peaks of the responses found in the phasic part of the filter.
phasic = skemo.decompose_eda(recording).signals["eda"][1:]
responses = skin_conductance_responses(phasic, rate, min_amplitude=0.02)
axes[2].vlines(
    responses["SCR_Peak"],
    *axes[2].get_ylim(),
    color="#009E73",
    linestyle=":",
    label=f"{len(responses['window'])} responses",
)
axes[2].set(xlabel="time, s", ylabel="µS")
axes[2].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)

# %%
# The number and size of the responses are features of a window (:class:`skemo.EDATransformer`), and
# depend on what counts as a response. A threshold relative to the largest response in the window,
# as in NeuroKit2 and by default, counts ripples where nothing else happens: here it finds more
# responses in calm windows than in aroused ones, although the data were simulated the other way
# round. A threshold in microsiemens recovers the simulated effect.

windows = skemo.segment(map(skemo.decompose_eda, recordings), duration=30.0)
for least in (0.0, 0.05):
    transformer = skemo.EDATransformer(signal="components", min_amplitude=least)
    table = transformer.set_output(transform="pandas").fit_transform(windows[["eda"]])
    counts = table["SCR_Peaks_N"].groupby(windows["label"]).mean()
    print(f"at least {least} µS: {counts.round(1).to_dict()}")
plt.show()
