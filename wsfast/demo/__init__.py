"""A page where a person sees the engine work: ``python -m wsfast.demo``."""
