"""How bytes on disk become rows in memory: threads and compiled kernels, no strategies."""
