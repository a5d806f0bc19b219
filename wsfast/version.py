"""The version of wsfast."""

version = "0.1.0"
