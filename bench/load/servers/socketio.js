// Echo of event "echo" with socket.io: over WebSocket alone, without compression.
"use strict";

const { Server } = require("socket.io");
const { createServer, listen } = require("./_serving.js");

const server = createServer();
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false });

io.on("connection", (socket) => {
  socket.on("echo", (data) => socket.emit("echo", data));
});
listen(server);
