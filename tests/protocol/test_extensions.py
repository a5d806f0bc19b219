"""Agreeing upon permessage-deflate (RFC 7692 §7.1, THREATS H-14, K-2, D-3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfast.exceptions import InvalidHandshake, NegotiationError
from wsfast.protocol import (
    ClientPerMessageDeflateFactory,
    DeflateOptions,
    ServerPerMessageDeflateFactory,
)
from wsfast.protocol.extensions import (
    answer_offers,
    build_offer,
    check_answer,
)

PMD = "permessage-deflate"


def answer(offer: str, **options) -> tuple[str, tuple] | None:
    """Return the answer to an offer, and what the server makes of it."""
    found = answer_offers(offer.encode("latin-1"), DeflateOptions(**options))
    if found is None:
        return None
    line, parameters = found
    prefix = b"\r\nSec-WebSocket-Extensions: permessage-deflate"
    assert line.startswith(prefix)
    return line[len(prefix) :].decode(), tuple(parameters)


SNC, CNC = "; server_no_context_takeover", "; client_no_context_takeover"
SMW, CMW = "; server_max_window_bits", "; client_max_window_bits"


# parameters: local (server) forgets, remote (client) forgets, local bits, remote bits
@pytest.mark.parametrize(
    ("options", "offer", "expected"),
    [
        # What browsers send, and the defaults.
        ({}, f"{PMD}{CMW}", (f"{SMW}=12{CMW}=12", (False, False, 12, 12))),
        ({}, PMD, (f"{SMW}=12", (False, False, 12, 15))),
        ({}, f"{PMD}{CMW}=15", (f"{SMW}=12{CMW}=12", (False, False, 12, 12))),
        ({}, f"{PMD}{CMW}=10", (f"{SMW}=12{CMW}=10", (False, False, 12, 10))),
        ({}, f"{PMD}{CMW}=8", (f"{SMW}=12{CMW}=8", (False, False, 12, 8))),
        ({}, f"{PMD}{SMW}=15", (f"{SMW}=12", (False, False, 12, 15))),
        ({}, f"{PMD}{SMW}=10", (f"{SMW}=10", (False, False, 10, 15))),
        ({}, f"{PMD}{SMW}=8", (f"{SMW}=8", (False, False, 8, 15))),
        ({}, f"{PMD}{SNC}", (f"{SNC}{SMW}=12", (True, False, 12, 15))),
        ({}, f"{PMD}{CNC}", (f"{CNC}{SMW}=12", (False, True, 12, 15))),
        ({}, f"{PMD}{CNC}{SNC}", (f"{SNC}{CNC}{SMW}=12", (True, True, 12, 15))),
        # Quoted values, white space, other extensions, several headers' worth.
        (
            {},
            f'{PMD} ; server_max_window_bits="9"',
            (f"{SMW}=9", (False, False, 9, 15)),
        ),
        ({}, f"x-other; a=b, {PMD}", (f"{SMW}=12", (False, False, 12, 15))),
        (
            {},
            f'x; a="{PMD}, {PMD}", {PMD}{SNC}',
            (f"{SNC}{SMW}=12", (True, False, 12, 15)),
        ),
        ({}, f" , ,{PMD},", (f"{SMW}=12", (False, False, 12, 15))),
        # Options.
        ({"server_max_window_bits": 15}, PMD, ("", (False, False, 15, 15))),
        (
            {"server_max_window_bits": 15},
            f"{PMD}{SMW}=15",
            (f"{SMW}=15", (False, False, 15, 15)),
        ),
        ({"server_max_window_bits": 8}, PMD, (f"{SMW}=8", (False, False, 8, 15))),
        (
            {"server_max_window_bits": 15, "client_max_window_bits": 15},
            f"{PMD}{CMW}",
            ("", (False, False, 15, 15)),
        ),
        (
            {"server_max_window_bits": 15, "client_max_window_bits": 9},
            f"{PMD}{CMW}",
            (f"{CMW}=9", (False, False, 15, 9)),
        ),
        (
            {"client_max_window_bits": 9},
            f"{PMD}{CMW}=8",
            (f"{SMW}=12{CMW}=8", (False, False, 12, 8)),
        ),
        (
            {"server_no_context_takeover": True, "client_no_context_takeover": True},
            PMD,
            (f"{SNC}{CNC}{SMW}=12", (True, True, 12, 15)),
        ),
        ({"require_client_max_window_bits": True}, PMD, None),
        (
            {"require_client_max_window_bits": True},
            f"{PMD}, {PMD}{CMW}",
            (f"{SMW}=12{CMW}=12", (False, False, 12, 12)),
        ),
    ],
)
def test_answer(options, offer, expected):
    assert answer(offer, **options) == expected


WRONG = [
    SMW,  # needs a value
    f"{SMW}=",
    f"{SMW}=7",
    f"{SMW}=16",
    f"{SMW}=99",
    f"{SMW}=08",
    f"{SMW}=+9",
    f"{SMW}=9.0",
    f"{SMW}=9{SMW}=9",
    f"{SMW}=\xb2",
    f'{SMW}=""',
    f'{SMW}="9',
    f"{CMW}=7",
    f"{CMW}=16",
    f"{CMW}=",
    f"{CMW}{CMW}",
    f"{SNC}=1",
    f"{SNC}=true",
    f"{SNC}{SNC}",
    f"{CNC}=",
    f'{CNC}=""',
    f"{CNC}{CNC}",
    "; unknown",
    "; unknown=1",
    "; Server_No_Context_Takeover",
    ";",
    ";;",
    "; =1",
    " server_no_context_takeover",
    "\xff",
]


@pytest.mark.parametrize("wrong", WRONG)
def test_offer_out_of_grammar_is_declined_and_the_next_is_tried(wrong):
    assert answer(PMD + wrong) is None
    assert answer(f"{PMD}{wrong}, {PMD}{SNC}") in (
        (f"{SNC}{SMW}=12", (True, False, 12, 15)),
        None if '"' in wrong else (f"{SNC}{SMW}=12", (True, False, 12, 15)),
    )
    assert answer(f"{PMD}{SNC}, {PMD}{wrong}") == (
        f"{SNC}{SMW}=12",
        (True, False, 12, 15),
    )


@pytest.mark.parametrize(
    "offer", ["", ",", "x-webkit-deflate-frame", "permessage", "="]
)
def test_nothing_to_answer(offer):
    assert answer(offer) is None


def test_several_headers_are_one_list():
    values = [b"x-other", b"permessage-deflate; server_no_context_takeover"]
    found = answer_offers(values, DeflateOptions())
    assert found is not None
    assert found[1].local_no_context_takeover


def test_answers_are_remembered_within_bounds():
    options = DeflateOptions()
    for number in range(1000):
        answer_offers(b"x-%d" % number, options)
        answer_offers(b"y" * 500 + b"%d" % number, options)
    assert len(options._answers) <= 64
    assert max(map(len, options._answers)) <= 128
    assert answer_offers(b"permessage-deflate", options) is not None


# Client


@pytest.mark.parametrize(
    ("options", "offer"),
    [
        ({}, CMW),
        ({"client_max_window_bits": True}, CMW),
        ({"client_max_window_bits": False}, ""),
        ({"client_max_window_bits": 10}, f"{CMW}=10"),
        ({"server_max_window_bits": 10}, f"{SMW}=10{CMW}"),
        ({"server_no_context_takeover": True}, f"{SNC}{CMW}"),
        ({"client_no_context_takeover": True}, f"{CNC}{CMW}"),
    ],
)
def test_offer(options, offer):
    assert build_offer(DeflateOptions(**options)) == PMD + offer


def check(value: str, **options) -> tuple:
    deflate = check_answer([value], DeflateOptions(**options))
    assert deflate is not None
    return tuple(deflate.parameters)


# parameters: local (client) forgets, remote (server) forgets, local bits, remote bits
@pytest.mark.parametrize(
    ("options", "value", "expected"),
    [
        ({}, PMD, (False, False, 15, 15)),
        ({}, f"{PMD}{SMW}=12{CMW}=12", (False, False, 12, 12)),
        ({}, f"{PMD}{CMW}=8", (False, False, 8, 15)),
        ({}, f"{PMD}{SNC}{CNC}", (True, True, 15, 15)),
        ({"client_no_context_takeover": True}, PMD, (True, False, 15, 15)),
        ({"server_no_context_takeover": True}, f"{PMD}{SNC}", (False, True, 15, 15)),
        ({"server_max_window_bits": 10}, f"{PMD}{SMW}=10", (False, False, 15, 10)),
        ({"server_max_window_bits": 10}, f"{PMD}{SMW}=8", (False, False, 15, 8)),
        ({"client_max_window_bits": 10}, PMD, (False, False, 10, 15)),
        ({"client_max_window_bits": 10}, f"{PMD}{CMW}=9", (False, False, 9, 15)),
        ({"client_max_window_bits": False}, f"{PMD}{SMW}=9", (False, False, 15, 9)),
    ],
)
def test_answer_is_understood(options, value, expected):
    assert check(value, **options) == expected


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"server_no_context_takeover": True}, PMD),
        ({"server_max_window_bits": 10}, PMD),
        ({"server_max_window_bits": 10}, f"{PMD}{SMW}=11"),
        ({"client_max_window_bits": 10}, f"{PMD}{CMW}=11"),
        ({"client_max_window_bits": False}, f"{PMD}{CMW}=15"),
        ({}, f"{PMD}{CMW}"),  # without a value in an offer only
        *[({}, PMD + wrong) for wrong in WRONG if wrong != f"{CMW}{CMW}"],
        ({}, f"{PMD}, {PMD}"),
        ({}, "x-other"),
    ],
)
def test_answer_that_does_not_fit_fails_the_handshake(options, value):
    with pytest.raises(InvalidHandshake):
        check(value, **options)


def test_answer_in_several_headers():
    with pytest.raises(NegotiationError, match="duplicate"):
        check_answer([PMD, PMD], DeflateOptions())
    assert check_answer([], DeflateOptions()) is None
    assert check_answer([], None) is None
    with pytest.raises(NegotiationError, match="no extensions supported"):
        check_answer([PMD], None)


bits = st.one_of(st.none(), st.integers(8, 15))
wanted = st.fixed_dictionaries(
    {
        "server_max_window_bits": bits,
        "client_max_window_bits": st.one_of(bits, st.booleans()),
        "server_no_context_takeover": st.booleans(),
        "client_no_context_takeover": st.booleans(),
    }
)


@given(client=wanted, server=wanted, require=st.booleans())
def test_whatever_both_want_they_agree(client, server, require):
    client_options = DeflateOptions(**client)
    server_options = DeflateOptions(**server, require_client_max_window_bits=require)
    found = answer_offers(build_offer(client_options).encode(), server_options)
    if found is None:
        assert require and client["client_max_window_bits"] is False
        return
    line, theirs = found
    deflate = check_answer([line.decode().partition(": ")[2]], client_options)
    assert deflate is not None
    ours = deflate.parameters
    assert ours.local_no_context_takeover == theirs.remote_no_context_takeover
    assert ours.remote_no_context_takeover == theirs.local_no_context_takeover
    # Nobody sends what the other cannot hold.
    assert ours.local_max_window_bits <= theirs.remote_max_window_bits
    assert theirs.local_max_window_bits <= ours.remote_max_window_bits
    for one in ("server", "client"):
        forgets = client[f"{one}_no_context_takeover"]
        forgets |= server[f"{one}_no_context_takeover"]
        side = theirs if one == "server" else ours
        assert side.local_no_context_takeover == forgets
        limit = client[f"{one}_max_window_bits"]
        if limit not in (None, True, False):
            assert side.local_max_window_bits <= limit


# In the manner of the websockets library


def test_server_factory():
    options = ServerPerMessageDeflateFactory(
        server_max_window_bits=10,
        client_max_window_bits=11,
        client_no_context_takeover=True,
        compress_settings={"level": 1, "memLevel": 4, "strategy": 2},
    ).options
    assert (options.server_max_window_bits, options.client_max_window_bits) == (10, 11)
    assert (options.level, options.mem_level, options.strategy) == (1, 4, 2)
    assert options.client_no_context_takeover
    assert not options.server_no_context_takeover
    assert options.threshold == 0
    plain = ServerPerMessageDeflateFactory().options
    assert (plain.server_max_window_bits, plain.client_max_window_bits) == (15, 15)
    with pytest.raises(ValueError, match="isn't configured"):
        ServerPerMessageDeflateFactory(require_client_max_window_bits=True)


def test_client_factory():
    assert build_offer(ClientPerMessageDeflateFactory().options) == PMD + CMW
    factory = ClientPerMessageDeflateFactory(client_max_window_bits=None)
    assert build_offer(factory.options) == PMD
    factory = ClientPerMessageDeflateFactory(server_max_window_bits=9)
    assert build_offer(factory.options) == PMD + f"{SMW}=9" + CMW


def test_wrong_settings():
    with pytest.raises(ValueError, match="wbits"):
        ClientPerMessageDeflateFactory(compress_settings={"wbits": 9})
    with pytest.raises(TypeError, match="unknown compress_settings: x"):
        ServerPerMessageDeflateFactory(compress_settings={"x": 9})
