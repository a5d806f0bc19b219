// Events "echo" and "all" with socket.io: over WebSocket alone, without compression.
"use strict";

const { Server } = require("socket.io");
const { createServer, listen } = require("./_serving.js");

const server = createServer();
const io = new Server(server, {
  transports: ["websocket"],
  perMessageDeflate: false,
  pingInterval: 3600e3,
});

io.on("connection", (socket) => {
  socket.join("everybody");
  socket.on("echo", (data) => socket.emit("echo", data));
  socket.on("all", (data) => io.to("everybody").emit("all", data));
});
listen(server);
