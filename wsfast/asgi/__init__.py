"""
Other people's servers: their requests, our WebSockets.

:mod:`wsfast.asgi.uvicorn` serves ASGI applications, :mod:`wsfast.asgi.aiohttp` and
:mod:`wsfast.asgi.sanic` the handlers of these two; :mod:`wsfast.asgi.socketio` and
:mod:`wsfast.asgi.engineio` are python-socketio and python-engineio on it.
"""
