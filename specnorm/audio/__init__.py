"""Audio: bytes of a file become a waveform, and a waveform becomes a spectrogram in decibels."""
