"""Programs that were written for the websockets library, on both."""
