"""Chunks that hold spans."""

import numpy as np

from scdataset.engine.kernels.chunks import chunks_of_spans


def test_chunks_are_those_that_hold_an_element_of_a_span():
    rng = np.random.default_rng(0)
    for chunk in (1, 7, 50):
        starts = np.sort(rng.integers(0, 200, 30))
        lengths = rng.integers(0, 40, 30)
        numbers, firsts, lasts = chunks_of_spans(starts, lengths, chunk)
        held = [set(range(start, start + length)) for start, length in zip(starts, lengths, strict=True)]
        assert numbers.tolist() == sorted({element // chunk for span in held for element in span})
        for number, first, last in zip(numbers, firsts, lasts, strict=True):
            own = set(range(number * chunk, (number + 1) * chunk))
            holding = [i for i, span in enumerate(held) if span & own]
            assert (first, last) == (holding[0], holding[-1] + 1)
