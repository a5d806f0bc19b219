"""Header fields, where the websockets library has them."""

from ..protocol.headers import Headers, HeadersLike, MultipleValuesError

__all__ = ["Headers", "HeadersLike", "MultipleValuesError"]
