"""Tests of ``wsfast.attach``: one WebSocket for every host."""
