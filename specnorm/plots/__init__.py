"""Pictures of sound, of statistics and of a comparison; the three for notebooks stand here."""

from specnorm.plots.audio import show_spectrogram, show_statistics, show_waveform

__all__ = ["show_spectrogram", "show_statistics", "show_waveform"]
