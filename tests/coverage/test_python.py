"""Branches of coverage.py's report, measured on a small program."""

import json
import subprocess
import sys

from tests.coverage import python, tree
from tests.coverage.outcomes import Outcome

PROGRAM = """\
def both(a, b):
    if a:
        return b
    return not b


def compiled():
    if both:
        pass


both(True, 1)
"""


def test_a_jump_that_was_not_taken(tmp_path):
    package = tmp_path / "wsfast"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "program.py").write_text(PROGRAM)
    data = tmp_path / ".coverage"
    (tmp_path / ".coveragerc").write_text(tree.config(data))
    command = [sys.executable, "-m", "coverage", "run", "-m", "wsfast.program"]
    subprocess.run(command, cwd=tmp_path, check=True)

    found = python.read(tmp_path)
    assert found == {
        Outcome("wsfast/program.py", 2, "to line 3"): True,
        Outcome("wsfast/program.py", 2, "to line 4"): False,
        Outcome("wsfast/program.py", 8, "to line 9"): False,
        Outcome("wsfast/program.py", 8, "to the end"): False,
    }
    assert python.without(found, ["wsfast/program.py"]) == {}
    assert json.loads((tmp_path / "coverage.json").read_text())["files"]
