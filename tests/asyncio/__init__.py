"""Tests of ``wsfast.asyncio``, on both paths and both event loops."""
