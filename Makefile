VENV ?= .venv
PYTHON ?= $(VENV)/bin/python

build:
	$(PYTHON) setup.py -q build_clib build_ext --inplace
