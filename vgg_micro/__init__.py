"""mini-VGG19: the classifier of stage 1 and, frozen, the feature extractor of stage 2."""
