"""The command line: `main` reads it, `experiments` has the models and data sets it offers."""
