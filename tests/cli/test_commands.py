"""The commands, run as people run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from wsfast import engine
from wsfast.cli import main
from wsfast.version import version


def wsfast(*arguments, status=0, env=None, cwd=None):
    """Run a command; return what it prints and what it complains of."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "wsfast", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **(env or {})},
        cwd=cwd,
    )
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


SHOW = "import sys, wsaccel; print(wsaccel.__doc__, sys.argv, __name__)"


def test_version_and_help():
    assert wsfast("--version")[0] == f"wsfast {version}\n"
    assert "doctor" in wsfast("--help")[0]
    assert wsfast(status=2)[1] == (
        "python -m wsfast: the following arguments are required: COMMAND; "
        "python -m wsfast --help tells more\n"
    )
    assert "-m hypercorn" in wsfast("accelerate", "--help")[0]


def test_the_program_that_is_installed():
    (program,) = entry_points(group="console_scripts", name="wsfast")
    assert program.load() is main


def test_accelerate_reports():
    printed, _ = wsfast("accelerate", "wsaccel")
    assert f"kernel {engine.KERNEL}" in printed
    assert "  replaced wsaccel.xormask\n" in printed
    report = json.loads(wsfast("accelerate", "wsaccel", "--json")[0])
    assert report["wsaccel"]["replaced"][0] == "wsaccel"


def test_accelerate_lists():
    printed, _ = wsfast("accelerate", "--list")
    assert "wsaccel" in printed
    rows = json.loads(wsfast("accelerate", "--list", "--json")[0])
    ready = {row["target"]: row["ready"] for row in rows}
    assert ready["wsaccel"] is True


def test_accelerate_refuses():
    _, complaint = wsfast("accelerate", "requests", status=1)
    assert complaint.startswith(
        "wsfast: requests is nothing that wsfast can accelerate"
    )
    assert "Traceback" not in complaint
    _, complaint = wsfast("accelerate", "requests", "--", "-c", "print(1)", status=1)
    assert complaint.count("\n") == 1
    assert "Name one or more" in wsfast("accelerate", status=1)[1]


def test_accelerate_runs_code_file_and_module(tmp_path):
    printed, _ = wsfast("accelerate", "wsaccel", "--", "-c", SHOW, "one", "--", "two")
    assert (
        printed
        == "wsfast in the place of wsaccel. ['-c', 'one', '--', 'two'] __main__\n"
    )
    program = tmp_path / "program.py"
    program.write_text(SHOW)
    printed, _ = wsfast("accelerate", "wsaccel", "--", str(program), "one")
    assert f"['{program}', 'one'] __main__" in printed
    printed, _ = wsfast("accelerate", "wsaccel", "--", "-m", "program", cwd=tmp_path)
    assert printed.startswith("wsfast in the place of wsaccel.")


def test_accelerate_gives_the_programs_status():
    code = "import sys; sys.exit(7)"
    wsfast("accelerate", "wsaccel", "--", "-c", code, status=7)


def test_workers_are_accelerated_too(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing\n"
        "def work():\n"
        "    import wsaccel\n"
        "    print(wsaccel.__doc__)\n"
        "if __name__ == '__main__':\n"
        "    worker = multiprocessing.get_context('spawn').Process(target=work)\n"
        "    worker.start()\n"
        "    worker.join()\n"
    )
    printed, _ = wsfast("accelerate", "wsaccel", "--", str(program))
    assert printed == "wsfast in the place of wsaccel.\n"


def test_the_programs_own_sitecustomize_runs(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('theirs')")
    env = {"PYTHONPATH": str(tmp_path)}
    printed, _ = wsfast("accelerate", "wsaccel", "--", "-c", SHOW, env=env)
    assert printed.splitlines()[0] == "theirs"  # the command's own start
    assert printed.count("theirs") == 2
    assert "wsfast in the place of wsaccel." in printed


def test_the_command_within_itself():
    inner = ["-m", "wsfast", "accelerate", "wsaccel", "--", "-c", "print('inner')"]
    assert wsfast("accelerate", "wsaccel", "--", *inner)[0] == "inner\n"


def test_a_worker_that_cannot_says_so_and_goes_on():
    env = {"WSFAST_ACCELERATE": "requests"}
    code = "print('on')"
    printed, said = wsfast("accelerate", "wsaccel", "--", "-c", code, env=env)
    assert printed == "on\n"
    assert said.startswith("wsfast: not accelerated: requests is nothing")


def test_doctor():
    found = json.loads(wsfast("doctor", "--json")[0])
    assert found["wsfast"] == version
    assert found["kernel"] == engine.KERNEL
    assert found["engine"] == ("python" if engine.KERNEL == "python" else "c")
    assert found["path"] in ("reactor", "transport")
    assert found["deflate"] in found["backends"]
    assert isinstance(found["faster"], list)
    printed, _ = wsfast("doctor")
    assert re.search(rf"^kernel +{engine.KERNEL}$", printed, re.MULTILINE)
    assert "What would make it faster:" in printed


def test_doctor_sees_accelerations():
    pytest.importorskip("wsproto")

    def states(*command):
        found = json.loads(wsfast(*command)[0])
        targets = {each["target"]: each["accelerated"] for each in found["targets"]}
        return targets["wsproto"], [
            line for line in found["faster"] if "wsproto" in line
        ]

    advice = "wsproto can be faster: python -m wsfast accelerate wsproto -- ..."
    assert states("doctor", "--json") == (False, [advice])
    doctor = ["-m", "wsfast", "doctor", "--json"]
    assert states("accelerate", "wsproto", "--", *doctor) == (True, [])


@pytest.mark.parametrize(
    ("env", "advice"),
    [
        ({"WSFAST_PURE": "1"}, "WSFAST_PURE asks for pure Python: unset it"),
        (
            {"WSFAST_PURE": "0", "WSFAST_KERNEL": "python"},
            "WSFAST_KERNEL asks for pure Python: unset it",
        ),
    ],
)
def test_doctor_of_the_pure_engine(env, advice):
    found = json.loads(wsfast("doctor", "--json", env=env)[0])
    assert (found["engine"], found["kernel"]) == ("python", "python")
    assert found["path"] == "transport"
    assert advice in found["faster"]


@pytest.mark.skipif(engine.KERNEL == "python", reason="there is but one kernel")
def test_doctor_of_a_slower_kernel():
    env = {"WSFAST_KERNEL": engine.KERNELS[-1], "WSFAST_REACTOR": "0"}
    found = json.loads(wsfast("doctor", "--json", env=env)[0])
    assert found["path"] == "transport"
    assert "WSFAST_REACTOR=0 turns the reactor off: unset it" in found["faster"]
    if len(engine.KERNELS) > 1:
        assert any("forces" in line for line in found["faster"])
