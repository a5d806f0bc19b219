"""Tests of ``wsfast.sync``: real sockets, real threads."""
