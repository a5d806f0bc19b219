"""The demo: its server from a client's side, its page in a browser."""
