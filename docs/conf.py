"""Makes a site of the manual: ``make docs``."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
os.environ["WSFAST_PURE"] = (
    "1"  # sources know their signatures, compiled modules do not
)

import _reference  # noqa: E402

from wsfast.version import version as release  # noqa: E402

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "wsfast"
author = "the authors of wsfast"
copyright = author  # noqa: A001
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_*"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
nitpicky = True
# What Python's own documentation has; the tests know no other site.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(abc|aiohttp|asyncio|collections|enum|logging|multidict|socket|ssl)\..*",
    ),
    ("py:exc", r"HeadError|QueueFull|ServerError|WebsocketClosed|web\..*"),
]

add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
maximum_signature_line_length = 60
napoleon_use_ivar = True
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = f"wsfast {release}"
html_static_path = ["_static"]
html_css_files = ["manual.css"]
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

#: Files beside the manual that are pages of it, too.
OUTSIDE = {
    "../CHANGELOG.md": "changelog.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../SECURITY.md": "security.md",
    "../bench/README.md": "measuring.md",
}
LINK = re.compile(r"\]\((\.\./[^)#]*)")
PAGE = re.compile(r"^- \[.*\]\(([^):]+)\.md\)", re.MULTILINE)


def prepare(app: Sphinx, name: str, source: list[str]) -> None:
    """
    Turn a page as it is read in the repository into one of the site.

    The lists of links in the index become tables of contents; the pages of a folder are
    below its own index.
    """
    text = LINK.sub(lambda match: "](" + OUTSIDE.get(match[1], match[1]), source[0])
    if name == "index":
        first, *parts = text.split("\n## ")
        text = first + "".join(f"\n## {part}{_contents(part)}" for part in parts)
    elif name.endswith("/index"):
        text += "\n```{toctree}\n:hidden:\n:glob:\n\n*\n```\n"
    source[0] = text


def _contents(part: str) -> str:
    """Return the hidden table of contents of a part of the index."""
    caption = part.partition("\n")[0]
    pages = "\n".join(PAGE.findall(part))
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"


def setup(app: Sphinx) -> None:
    """Connect with Sphinx."""
    app.connect("source-read", prepare)
    app.connect("autodoc-process-docstring", _reference.complete, priority=400)
    app.connect("autodoc-skip-member", _reference.skip)
    app.connect("missing-reference", _reference.resolve)
