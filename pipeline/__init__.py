"""What knows DVC and Hydra and is no stage: places, what stages share, composing, drawing, several at a time."""

from pipeline import interrupts

interrupts.end_at_once_while_importing()
