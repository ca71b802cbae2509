"""Training of networks: batches, devices, the optimiser, early stopping, many fits at once.

`net` defines the skorch net, and `batches`, `devices`, `optimizer` and `early_stopping` its
parts; `many` trains several fits as one computation.
"""
