"""A trained cell as a product: waveforms in, class probabilities out."""
