"""A fast and strict WebSocket engine."""
