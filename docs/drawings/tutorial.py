"""The pictures of the tutorial, by running its code.

python docs/drawings/tutorial.py
"""

import os
import re
import shutil
import tempfile
from pathlib import Path

import matplotlib as mpl

PAGE = Path(__file__).parents[1] / "tutorial.md"
FOLDER = Path(__file__).parents[1] / "tutorial"


def main() -> None:
    """Run the tutorial in an empty folder, and keep the pictures that it saved."""
    mpl.use("svg")
    mpl.rcParams.update(
        {
            "svg.hashsalt": "scdataset",
            "figure.figsize": (6.4, 3.6),
            "figure.constrained_layout.use": True,
            "font.size": 13,
        }
    )
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
            exec(compile(code, str(PAGE), "exec"), globals())
        for picture in Path().glob("*.svg"):
            shutil.copy(picture, FOLDER)
            print(FOLDER / picture)
        os.chdir(FOLDER)


if __name__ == "__main__":
    main()
