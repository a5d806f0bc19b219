// What the servers for Node share: see node.py, which starts them.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");

exports.deflate = Boolean(process.env.DEFLATE);

/** Return a server of HTTP, or of HTTPS if that is asked for. */
exports.createServer = (handler) => {
  const path = process.env.CERTIFICATE;
  if (!path) return http.createServer(handler);
  const certificate = fs.readFileSync(path);
  return https.createServer({ cert: certificate, key: certificate }, handler);
};

/** Listen on the socket that node.py has made; end when standard input does. */
exports.listen = (server) => {
  server.listen({ fd: Number(process.env.LISTEN_FD) }, () => {
    console.log(`port ${server.address().port} pid ${process.pid}`);
  });
  process.stdin.resume();
  process.stdin.on("end", () => process.exit(0));
};
