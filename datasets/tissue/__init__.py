"""Tissue: large images, screenshots of slides or whole slides, cut into tiles."""
