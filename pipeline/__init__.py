"""What knows DVC and Hydra and is no stage: places, what stages share, composing, drawing, several at a time."""
