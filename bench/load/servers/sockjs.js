// sockjs-node: echo at /echo, broadcast at /broadcast.
"use strict";

const sockjs = require("sockjs");
const { createServer, listen } = require("./_serving.js");

const server = createServer();
const echo = sockjs.createServer({ log: () => {} });
const broadcast = sockjs.createServer({ log: () => {} });
const everybody = new Set();

echo.on("connection", (connection) => {
  connection.on("data", (message) => connection.write(message));
});
broadcast.on("connection", (connection) => {
  everybody.add(connection);
  connection.on("data", (message) => {
    for (const other of everybody) other.write(message);
  });
  connection.on("close", () => everybody.delete(connection));
});
echo.installHandlers(server, { prefix: "/echo" });
broadcast.installHandlers(server, { prefix: "/broadcast" });
listen(server);
