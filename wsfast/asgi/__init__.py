"""
Other people's servers: their requests, our WebSockets.

:mod:`wsfast.asgi.uvicorn` serves ASGI applications, :mod:`wsfast.asgi.aiohttp` handlers
of aiohttp.
"""
