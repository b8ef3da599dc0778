"""The pages of the documentation, and the code in them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]

FENCE = re.compile(r"^( *)```python\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


def name_of(page):
    """Return how tests call a page."""
    return str(page.relative_to(ROOT))


def blocks_of(page):
    """Yield the line and the code of each ``python`` block of a page, in order."""
    text = page.read_text()
    for fence in FENCE.finditer(text):
        line = text.count("\n", 0, fence.start()) + 2
        indent = fence[1]
        yield line, "".join(row.removeprefix(indent) for row in fence[2].splitlines(keepends=True))


def rows_of_code(page):
    """Yield number and content of each line of Python on a page, whether it is run or a fragment."""
    inside = False
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        if line.startswith("```"):
            inside = line in ("```python", "```py")
        elif inside:
            yield number, line


def run(page, namespace):
    """Run the blocks of a page one after the other, as a reader would, with the page's own line numbers."""
    for line, code in blocks_of(page):
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)
