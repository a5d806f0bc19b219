"""ASGI applications: :mod:`wsfast.asgi.uvicorn` serves their WebSockets in uvicorn."""
