"""The training of one cell: recipe, device, batches, checkpoint, loop."""
