"""Images on their way into training: survey, order, pairs."""
