"""Tables of windows: signal columns, recordings, and cutting recordings into windows.

`array` defines signal columns and `recording` recordings; `windows` cuts recordings into windows.
`groups` reads the subject, trial and time of each window, and `checks` validates the input of
estimators.
"""
