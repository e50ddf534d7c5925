"""How should a log-spectrogram be normalised before a network sees it?"""

__version__ = "0.1.0"
