"""The pipeline's commands, one a stage: read the parameters, call specnorm, write the outputs."""

from pipeline import interrupts

interrupts.end_at_once_while_importing()
