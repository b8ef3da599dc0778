"""Which rank and worker yields which batches. Pure: no input or output, no torch."""
