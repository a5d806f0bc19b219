// Echo with ws, and its addon bufferutil.
"use strict";

const { WebSocketServer } = require("ws");
const { createServer, deflate, listen } = require("./_serving.js");

const server = createServer();
const wss = new WebSocketServer({
  server,
  maxPayload: 1 << 30,
  perMessageDeflate: deflate ? { threshold: 0 } : false,
});

wss.on("connection", (ws) => {
  ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
  ws.on("error", () => {});
});
listen(server);
