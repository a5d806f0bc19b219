// Echo with sockjs-node, at /echo.
"use strict";

const sockjs = require("sockjs");
const { createServer, listen } = require("./_serving.js");

const server = createServer();
const echo = sockjs.createServer({ log: () => {} });

echo.on("connection", (connection) => {
  connection.on("data", (message) => connection.write(message));
});
echo.installHandlers(server, { prefix: "/echo" });
listen(server);
