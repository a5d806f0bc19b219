"""
What wheels there are, and that they work: configuration, a smoke test, a local proof.

``python -m tests.wheels`` cross-builds wheels for Linux, has their tags audited, and
runs the tests on them; see its ``--help``.
"""
