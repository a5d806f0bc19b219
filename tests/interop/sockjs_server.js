/* sockjs-node: each of its events is a line of standard output, as JSON.
 *
 *   node sockjs_server.js
 *
 * Under /echo everything is sent back, but for commands: "!close CODE REASON",
 * "!many COUNT SIZE", "!note WORD", "!abort" (cut every connection), "!exit". The other prefixes
 * have options, or trouble, of their own.
 */
"use strict";

const http = require("http");
const sockjs = require("sockjs");

const PREFIXES = {
  "/echo": {},
  "/limited": { response_limit: 4096 },
  "/beating": { heartbeat_delay: 100 },
  "/polite": { websocket: false },
  "/cookie": { jsessionid: true },
  "/brief": { disconnect_delay: 1500 },
};

/* Prefixes of /echo's own, in front of which something is in the way. */
const TROUBLE = {
  "/no-upgrade": (req) => (req.headers.upgrade ? "refuse" : "pass"),
  "/deaf-upgrade": (req) => (req.headers.upgrade ? "hold" : "pass"),
  "/no-stream": (req) => {
    if (req.headers.upgrade) return "refuse";
    return req.url.includes("/xhr_streaming") ? "hold" : "pass";
  },
  "/no-send": (req) => (req.url.includes("/xhr_send") ? "fail" : "pass"),
  "/slow-info": (req) => (req.url.includes("/info") ? "delay" : "pass"),
  "/moved": (req) => (req.url.startsWith("/moved/info") ? "redirect" : "pass"),
  "/nothing": () => "fail",
};

function emit(event) {
  process.stdout.write(JSON.stringify(event) + "\n");
}

const sockets = new Set();

function obey(conn, message) {
  const [command, one, ...rest] = message.split(" ");
  if (command === "!close") conn.close(Number(one), rest.join(" "));
  else if (command === "!many") {
    for (let n = 0; n < Number(one); n++) conn.write(`${n} `.padEnd(Number(rest[0]), "é"));
  } else if (command === "!abort") for (const socket of sockets) socket.destroy();
  else if (command === "!note") emit({ event: "note", word: one });
  else if (command === "!exit") process.exit(0);
  else conn.write(message);
}

function connected(conn) {
  const { protocol, headers, url, pathname } = conn;
  emit({ event: "open", protocol, headers, url, pathname });
  conn.on("data", (message) => obey(conn, message));
  conn.on("close", () => emit({ event: "close", pathname }));
}

const server = http.createServer((req, res) => res.writeHead(404).end());
const log = () => {};
for (const prefix of [...Object.keys(PREFIXES), ...Object.keys(TROUBLE)]) {
  const service = sockjs.createServer({ prefix, log, ...PREFIXES[prefix] });
  service.on("connection", connected);
  service.installHandlers(server);
}

function inTheWay(kind) {
  const others = server.listeners(kind).slice();
  server.removeAllListeners(kind);
  server.on(kind, (req, res, head) => {
    const prefix = "/" + req.url.split(/[/?]/)[1];
    const verdict = (TROUBLE[prefix] || (() => "pass"))(req);
    const pass = () => others.forEach((other) => other.call(server, req, res, head));
    emit({ event: "request", url: req.url, verdict, cookie: req.headers.cookie });
    if (verdict === "pass") pass();
    else if (verdict === "delay") setTimeout(pass, 400);
    else if (verdict === "redirect") {
      res.writeHead(302, { Location: "/echo/info" }).end();
    } else if (verdict === "fail") res.writeHead(503).end("not now");
    else if (verdict === "refuse") res.end("HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n");
  });
}

server.on("connection", (socket) => {
  sockets.add(socket);
  socket.on("close", () => sockets.delete(socket));
});
inTheWay("request");
inTheWay("upgrade");
server.listen(0, "127.0.0.1", () => {
  emit({ event: "listening", port: server.address().port });
});
process.stdin.resume().on("end", () => process.exit(0));
