"""Training of networks: losses, batches, devices, the optimiser, early stopping, many fits at once.

`objectives` say what the outputs of a network mean, and what a wrong one costs; `net` defines the
skorch net, and `batches`, `devices`, `optimizer` and `early_stopping` its parts; `fit` is a
fit ready to be trained, `many` trains several as one computation, as a `stack` whose steps may be
CUDA `graphs`.
"""
