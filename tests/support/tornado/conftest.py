"""
What tornado's own test runner sets before its tests, for running them by pytest.

It is copied beside those tests; see `tests.support.suites`.
"""

import logging

logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
