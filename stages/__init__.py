"""The pipeline's commands, one a stage: read the parameters, call specnorm, write the outputs."""
