"""Training of networks: batches, devices, the optimiser, early stopping, many fits at once.

`net` is the skorch net; `batches`, `devices`, `optimizer` and `early_stopping` are its parts;
`many` trains several fits as one computation.
"""
