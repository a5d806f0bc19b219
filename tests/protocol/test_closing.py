"""Close frames and close codes (RFC 6455 §5.5.1, §7.4; THREATS C-1)."""

from __future__ import annotations

import pytest

from wsfast.exceptions import InvalidPayload, ProtocolError
from wsfast.protocol import Close, CloseCode, Opcode, State
from wsfast.protocol.closing import (
    CLOSE_CODE_EXPLANATIONS,
    EXTERNAL_CLOSE_CODES,
    OK_CLOSE_CODES,
    close_code_valid,
)

VALID = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


def test_rfc6455_7_4_codes():
    for code in range(65536):
        assert close_code_valid(code) == (code in VALID)
        payload = code.to_bytes(2, "big")
        if code in VALID:
            assert Close.parse(payload) == Close(code, "")
            assert Close(code, "").serialize() == payload
        else:
            with pytest.raises(ProtocolError, match="invalid status code") as caught:
                Close.parse(payload)
            assert caught.value.code == 1002
            with pytest.raises(ProtocolError):
                Close(code, "").serialize()
    assert {code for code in VALID if code < 3000} == EXTERNAL_CLOSE_CODES
    assert {1000, 1001, 1005} == OK_CLOSE_CODES


def test_payload():
    assert Close.parse(b"") == Close(CloseCode.NO_STATUS_RCVD, "")
    assert Close.parse(b"\x03\xe8caf\xc3\xa9") == Close(1000, "caf\xe9")
    assert Close(1000, "caf\xe9").serialize() == b"\x03\xe8caf\xc3\xa9"
    with pytest.raises(ProtocolError, match="too short") as caught:
        Close.parse(b"\x03")
    assert caught.value.reason_code == "close_payload_of_one_octet"
    with pytest.raises(InvalidPayload) as caught:
        Close.parse(b"\x03\xe8\xff")
    assert caught.value.code == 1007


def test_reason_is_bounded():
    assert len(Close(1000, "x" * 123).serialize()) == 125
    for reason in ("x" * 124, "\xe9" * 62):
        with pytest.raises(ProtocolError, match="too long"):
            Close(1000, reason).serialize()


@pytest.mark.parametrize(
    ("close", "text"),
    [
        (Close(1000, ""), "1000 (OK)"),
        (Close(CloseCode.GOING_AWAY, "bye"), "1001 (going away) bye"),
        (Close(1006, ""), "1006 (abnormal closure [internal])"),
        (Close(1016, ""), "1016 (unknown)"),
        (Close(3000, ""), "3000 (registered)"),
        (Close(4999, "x"), "4999 (private use) x"),
    ],
)
def test_text(close, text):
    assert str(close) == text


def test_names():
    assert [state.name for state in State] == [
        "CONNECTING",
        "OPEN",
        "CLOSING",
        "CLOSED",
    ]
    assert (Opcode.CONT, Opcode.TEXT, Opcode.BINARY) == (0, 1, 2)
    assert (Opcode.CLOSE, Opcode.PING, Opcode.PONG) == (8, 9, 10)
    assert set(CLOSE_CODE_EXPLANATIONS) == set(CloseCode)
