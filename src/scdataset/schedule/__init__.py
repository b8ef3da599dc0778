"""Which rank and worker yields what. Pure: no input or output, no torch."""
