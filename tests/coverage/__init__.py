"""
Which branches the tests take: C, Cython and Python in one figure.

Run by `make coverage`, and by ``python -m tests.coverage core protocol`` for the part
that takes a minute. What counts as a branch, and with which tool:

- C core: each way out of each condition of csrc/, counted by gcov in a build without
  optimization and without inlining. A kernel's copy of a template counts by itself.
  gcc makes one comparison of a range check (``a <= x && x <= b``).
- Python: each jump from line to line, counted by coverage.py. What is compiled too is
  measured where it runs uncompiled, in a tree without extension modules.
- Cython (.pyx): the conditions and loops of the source, which are told from all else
  in the generated C by their form, counted by gcov. Lines of error handling that
  Cython adds are no branches of the source and do not count.
"""
