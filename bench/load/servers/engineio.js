// Echo with engine.io, as it is documented: over WebSocket alone, without compression.
"use strict";

const { Server } = require("engine.io");
const { createServer, listen } = require("./_serving.js");

const server = createServer();
const engine = new Server({
  transports: ["websocket"],
  perMessageDeflate: false,
  pingInterval: 3600e3,
});

engine.attach(server, { path: "/engine.io/" });
engine.on("connection", (socket) => {
  socket.on("message", (data) => socket.send(data));
});
listen(server);
