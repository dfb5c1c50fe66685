"""Formats that exported models are converted to, one a module: `write(model, target)`."""
