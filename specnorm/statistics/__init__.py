"""Statistics of spectrograms: mergeable moments, and those of a training set with their provenance."""
