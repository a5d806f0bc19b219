"""Does anything keep references? See `tests.leaks.__main__`."""
