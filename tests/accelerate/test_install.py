"""Accelerations are put in whole or not at all, and taken out again."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

import wsfast
from wsfast import accelerate as package
from wsfast.accelerate import _install
from wsfast.accelerate._target import Name, Target, Versions, release


class Library(types.ModuleType):
    """A library of two names, one of them in a class."""

    def __init__(self, name):
        super().__init__(name)
        self.mask = lambda data: data
        self.Frame = type("Frame", (), {"unmask": lambda self: "theirs"})


@pytest.fixture
def library(monkeypatch):
    """Return a library that is imported, and known as the target ``example``."""
    made = Library("wsfast_example")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


def declare(monkeypatch, name, *replacements, distribution=None, versions=None):
    """Make a target known."""
    target = Target(
        name=name,
        distribution=distribution,
        versions=versions,
        contract="for this test",
        replacements=lambda: replacements,
    )
    module = types.ModuleType(f"wsfast.accelerate.{name}")
    module.TARGET = target
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(_install.KNOWN, name, name)


def test_names_are_replaced_and_given_back(library, monkeypatch):
    before = library.mask, library.Frame.unmask
    new = object()
    declare(
        monkeypatch,
        "example",
        Name("wsfast_example", "mask", new),
        Name("wsfast_example", "Frame.unmask", lambda self: "ours"),
        Name("wsfast_absent", "mask", new, optional=True),
    )
    report = wsfast.accelerate("example")
    assert library.mask is new
    assert library.Frame().unmask() == "ours"
    assert list(report) == ["example"]
    assert report["example"].replaced == (
        "wsfast_example.mask",
        "wsfast_example.Frame.unmask",
    )
    assert package.accelerated()["example"] == report["example"]
    assert report.as_dict()["example"]["contract"] == "for this test"
    assert "replaced wsfast_example.mask" in str(report)
    assert package.undo("example") == ("example",)
    assert (library.mask, library.Frame.unmask) == before
    assert not package.accelerated()
    assert str(package.accelerated()) == "nothing is accelerated"


def test_module_is_a_function_too():
    assert wsfast.accelerate is sys.modules["wsfast.accelerate"]
    assert callable(wsfast.accelerate)
    assert "accelerate" in dir(wsfast)
    done = subprocess.run(
        [sys.executable, "-c", "import wsfast; print(wsfast.accelerate('wsaccel'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "replaced wsaccel.xormask" in done.stdout


def test_twice_is_an_error():
    wsfast.accelerate("wsaccel")
    with pytest.raises(package.AccelerateError, match=r"already; call undo\('wsaccel'"):
        wsfast.accelerate("wsaccel")
    package.undo("wsaccel")
    with pytest.raises(package.AccelerateError, match="already"):
        wsfast.accelerate("wsaccel", "wsaccel")
    assert not package.accelerated()


def test_unknown_and_nothing_are_errors():
    with pytest.raises(
        package.AccelerateError, match=r"nothing that .* can: .*wsaccel"
    ):
        wsfast.accelerate("requests")
    with pytest.raises(package.AccelerateError, match="Name one or more of"):
        wsfast.accelerate()
    with pytest.raises(package.AccelerateError, match=r"accelerated are: none"):
        package.undo("wsaccel")
    assert package.undo() == ()


def test_one_that_fails_leaves_none_in(library, monkeypatch):
    before = library.mask
    declare(monkeypatch, "example", Name("wsfast_example", "mask", object()))
    declare(monkeypatch, "other", Name("wsfast_example", "no_such_name", object()))
    message = r"other  has no wsfast_example.no_such_name"
    with pytest.raises(package.AccelerateError, match=message):
        wsfast.accelerate("example", "other")
    assert library.mask is before
    assert not package.accelerated()


def test_failure_half_way_takes_back_what_was_put_in(library, monkeypatch):
    class Sealed(type):
        def __setattr__(cls, name, value):
            raise TypeError("sealed")

    library.Sealed = Sealed("Sealed", (), {"unmask": None})
    before = library.mask
    declare(
        monkeypatch,
        "example",
        Name("wsfast_example", "mask", object()),
        Name("wsfast_example", "Sealed.unmask", object()),
    )
    with pytest.raises(TypeError, match="sealed"):
        wsfast.accelerate("example")
    assert library.mask is before
    assert not package.accelerated()


def test_failing_import_says_what_to_do(monkeypatch):
    declare(monkeypatch, "example", Name("wsfast_absent", "mask", object()))
    with pytest.raises(
        package.AccelerateError, match="python -c 'import wsfast_absent"
    ):
        wsfast.accelerate("example")


def test_missing_target_says_what_to_do(monkeypatch):
    declare(
        monkeypatch,
        "example",
        distribution="wsfast-no-such-library",
        versions=Versions("1.2", "1.4"),
    )
    fix = "example is not installed: pip install 'wsfast-no-such-library>=1.2,<1.4'"
    with pytest.raises(package.AccelerateError, match=fix):
        wsfast.accelerate("example")


def test_wrong_version_says_what_to_do(monkeypatch):
    declare(
        monkeypatch, "example", distribution="pytest", versions=Versions("1.2", "1.4")
    )
    fix = r"example \d.* is installed, and .* of >=1.2,<1.4 only: pip install 'pytest>="
    with pytest.raises(package.AccelerateError, match=fix):
        wsfast.accelerate("example")


@pytest.mark.parametrize(
    ("version", "inside"),
    [
        ("1.1.9", False),
        ("1.2", True),
        ("1.2.0", True),
        ("1.3.2", True),
        ("1.3.2rc1", True),
        ("1.4", False),
        ("1.4.0", False),
        ("10.0", False),
        ("unknown", False),
    ],
)
def test_versions(version, inside):
    assert (version in Versions("1.2", "1.4")) is inside


def test_release_reads_numbers():
    assert release("26.10.2") == (26, 10, 2)
    assert release("0.10.5.post2") == (0, 10, 5)
    assert release("x") == ()


def test_undo_does_not_undo_others(library, monkeypatch):
    before = library.mask
    declare(
        monkeypatch,
        "example",
        Name("wsfast_example", "mask", object()),
        Name("wsfast_example", "Frame.unmask", object()),
    )
    wsfast.accelerate("example")
    ours = library.mask
    library.mask = theirs = object()
    with pytest.raises(package.AccelerateError, match="mask was replaced by somebody"):
        package.undo()
    assert library.mask is theirs
    assert list(package.accelerated()) == ["example"]
    library.mask = ours
    package.undo()
    assert library.mask is before


def test_every_known_target_is_declared():
    for target in package.known():
        assert target.name in _install.KNOWN
        assert target.contract
        assert (target.distribution is None) == (target.versions is None)
