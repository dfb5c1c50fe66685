"""Training: steps, the loop of both stages, the run folder, the published systems."""
