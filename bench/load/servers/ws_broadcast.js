// Send what comes to all connections, with ws; one of them may not read.
"use strict";

const { WebSocketServer } = require("ws");
const { createServer, listen } = require("./_serving.js");

const server = createServer();
const wss = new WebSocketServer({ server, perMessageDeflate: false });

wss.on("connection", (ws) => {
  ws.on("message", (data, isBinary) => {
    for (const client of wss.clients) client.send(data, { binary: isBinary });
  });
  ws.on("error", () => {});
});
listen(server);
