"""Tables of windows: signal columns, recordings, and cutting recordings into windows.

`array` has signal columns, `recording` recordings, `windows` what cuts them, `groups` subjects,
trials and seconds of windows, `checks` what every estimator does with its input.
"""
