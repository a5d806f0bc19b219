"""Programs for the websockets library, each with a server and a client."""
