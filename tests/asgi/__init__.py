"""wsfast under ASGI servers."""
