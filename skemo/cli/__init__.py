"""The command line: `main` runs it, and `experiments` defines its data sets and models."""
