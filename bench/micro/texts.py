"""Texts of each kind of script, cut to a number of octets."""

from __future__ import annotations

SCRIPTS = {
    "ascii": "The quick brown fox jumps over the lazy dog. ",
    "latin": "Fußgänger überqueren größere Straßen schräg. ",
    "cyrillic": "Съешь же ещё этих мягких французских булок, да выпей чаю. ",
    "cjk": "天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往秋收冬藏。",
    "emoji": "😀😃😄😁🤣🙂🙃😉😊😇🥰😍🤩😘",
}


def text_of(script: str, size: int) -> str:
    """Return a text of `size` octets: whole characters, filled up with spaces."""
    sample = SCRIPTS[script]
    data = (sample * (size // len(sample.encode()) + 1)).encode()[:size]
    text = data.decode(errors="ignore")
    return text + " " * (size - len(text.encode()))
