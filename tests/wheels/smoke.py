"""
What is installed works: frames there and back, and every compiled module.

Run as a program, also on an emulated machine; needs wsfast and nothing of the tests.
"""

from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import wsfast
from wsfast import engine

#: Compiled modules that want a library which is not there.
FOR_OTHERS = {"wsfast.accelerate._wsproto"}
KEY = bytes.fromhex("37fa213d")  # the example of RFC 6455 §5.7
FRAME = bytes.fromhex("8185 37fa213d 7f9f4d5158")


def frames() -> None:
    """Send messages of all sizes of header from a client to a server."""
    assert engine.encode_frame(engine.OP_TEXT, b"Hello", mask=KEY) == FRAME
    writer = engine.FrameWriter(client=True)
    parser = engine.MessageParser(client=False)
    for text in ("", "Hello", "κόσμε" * 20, "\N{GRINNING FACE}" * 20_000):
        octets = text.encode()
        assert engine.is_valid_utf8(octets)
        assert not engine.is_valid_utf8(octets + b"\xff")
        assert engine.mask(engine.mask(octets, KEY), KEY) == octets
        writer.message(engine.OP_TEXT, text)
        writer.message(engine.OP_BINARY, octets)
        assert parser.receive(writer.take()) == [text, octets]


def compiled_modules() -> int:
    """Import each of them; return how many there are."""
    root = Path(wsfast.__file__).parent
    names = {
        ".".join(
            ("wsfast", *path.relative_to(root).parts[:-1], path.name.split(".")[0])
        )
        for suffix in EXTENSION_SUFFIXES
        for path in root.rglob(f"*{suffix}")
    }
    for name in sorted(names - FOR_OTHERS):
        import_module(name)
    return len(names)


assert engine.KERNEL != "python", "the compiled engine was not found"
frames()
print(f"{compiled_modules()} compiled modules, kernel {engine.KERNEL}: works")
