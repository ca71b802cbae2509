"""Readers for files of devices and recording programs, with one module per format.

Each ``read_*`` function returns a `skemo.Recording`; `read` recognises the format from the
content. `correct_clock` and `merge_recordings` combine the recordings of several devices.
`LSLStreams` and `replay` yield chunks, for `skemo.Stream`.
"""

from skemo.io.biopac import read_biopac
from skemo.io.clocks import correct_clock, merge_recordings
from skemo.io.csv import read_csv
from skemo.io.edf import read_edf
from skemo.io.embraceplus import read_embraceplus
from skemo.io.empatica_e4 import read_e4_tags, read_empatica_e4
from skemo.io.lsl import LSLStreams
from skemo.io.opensignals import read_opensignals
from skemo.io.polar import read_polar
from skemo.io.reading import read
from skemo.io.replaying import replay
from skemo.io.shimmer import read_shimmer
from skemo.io.wfdb import read_wfdb
from skemo.io.xdf import read_xdf
from skemo.signals.mne_raw import make_epochs

__all__ = [
    "LSLStreams",
    "correct_clock",
    "make_epochs",
    "merge_recordings",
    "read",
    "read_biopac",
    "read_csv",
    "read_e4_tags",
    "read_edf",
    "read_embraceplus",
    "read_empatica_e4",
    "read_opensignals",
    "read_polar",
    "read_shimmer",
    "read_wfdb",
    "read_xdf",
    "replay",
]
