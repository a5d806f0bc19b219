"""Fuzzing: C targets for libFuzzer beside this, Python targets in `targets`."""
