"""The asyncio API of the websockets library."""
