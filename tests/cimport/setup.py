"""How a user builds a module that cimports the engine; docs/engine.md shows this."""

from Cython.Build import cythonize
from setuptools import Extension, setup

import wsfast

setup(
    name="frame-echo",
    ext_modules=cythonize(
        [
            Extension(
                "frame_echo", ["frame_echo.pyx"], include_dirs=[wsfast.get_include()]
            )
        ]
    ),
)
