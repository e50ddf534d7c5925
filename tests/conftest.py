"""Settings of the whole test run."""

from hypothesis import settings

# An example's time says more of the machine than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
