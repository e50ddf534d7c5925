"""The answer: which cells may be compared, what they say, and how sure that is."""
