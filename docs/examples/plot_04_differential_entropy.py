"""
Maps of differential entropy
============================

The modality-aware network takes the EEG in the form of its differential entropy ½ ln(2πeσ²), in
each band and channel, and in sub-windows of each window.
:class:`skemo.DifferentialEntropyTransformer` returns it as a map of bands × channels ×
sub-windows, or as named features.

If the amplitude of a rhythm halves, its differential entropy falls by ln 2 ≈ 0.69 nats. The maps
drawn here are means over the windows of a state and over the sub-windows. Their difference is the
simulated effect: less alpha at the back of the head and more beta at the front. It is small
compared with the differences between the channels of one map, and a network only sees single
windows, not these means.
"""

import matplotlib.pyplot as plt

import skemo
from skemo.datasets import make_emotion_recordings

recordings = make_emotion_recordings(n_subjects=6, modalities=("eeg",), random_state=0)
windows = skemo.segment(recordings, duration=10.0)
entropy = skemo.DifferentialEntropyTransformer(output="map", sub_windows=5)
maps = entropy.fit_transform(windows[["eeg"]])
print(maps.dtypes)

# %%

values = maps["eeg"].array.values.mean(axis=-1)  # (n_windows, n_bands, n_channels)
calm, aroused = (values[windows["label"] == label].mean(axis=0) for label in ("calm", "aroused"))
channels, bands = windows["eeg"].dtype.channels, ["theta", "alpha", "beta", "gamma"]

figure, axes = plt.subplots(1, 3, figsize=(10, 2.9), layout="constrained", sharey=True)
low, high = min(calm.min(), aroused.min()), max(calm.max(), aroused.max())
for ax, title, image in zip(axes, ("calm", "aroused"), (calm, aroused), strict=False):
    drawn = ax.imshow(image, vmin=low, vmax=high, aspect="auto")
    ax.set(title=title, xticks=range(len(channels)), xticklabels=channels)
axes[0].set(yticks=range(4), yticklabels=bands)
figure.colorbar(drawn, ax=axes[:2], label="nats")
most = abs(aroused - calm).max()
drawn = axes[2].imshow(aroused - calm, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
axes[2].set(title="aroused − calm", xticks=range(len(channels)), xticklabels=channels)
figure.colorbar(drawn, ax=axes[2], label="nats")
plt.show()
