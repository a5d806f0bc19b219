"""The threading API of the websockets library."""
