"""Progress bars."""

import pytest

from scdataset import _progress

pytest.importorskip("rich")


def test_a_bar_is_drawn_once_more_when_its_work_is_done(monkeypatch):
    drawn = []

    class Watched(_progress.Progress):
        def refresh(self):
            drawn.append([task.completed for task in self.tasks])
            super().refresh()

    monkeypatch.setattr(_progress, "Progress", Watched)
    with _progress.progress_bar("Reading", 3, visible=True) as advance:
        advance(2)
        advance(1)
    assert drawn[-1] == [3]
