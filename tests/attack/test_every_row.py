"""The list of hostile HTTP/1.1 inputs has 68 rows; each has at least one test named after it."""

import pathlib
import re


def test_every_row_has_a_test():
    sources = "".join(path.read_text() for path in pathlib.Path(__file__).parent.glob("test_*.py"))
    named = {int(number) for number in re.findall(r"^def test_row_(\d\d)_", sources, re.MULTILINE)}
    assert named == set(range(1, 69))
