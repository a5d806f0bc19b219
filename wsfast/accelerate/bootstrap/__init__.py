"""The folder that goes on ``PYTHONPATH``: its only module is ``sitecustomize``."""
