"""Spectrograms on disk: shards, how they are made, and reading ahead."""
