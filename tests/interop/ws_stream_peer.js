/* The peer from npm, ws, whose connections are duplex streams. Events go to standard
 * output, one JSON object a line.
 *
 *   node ws_stream_peer.js server '{}'
 *       by path: /echo, /flood (sends TOTAL octets), /late (reads after a second)
 *   node ws_stream_peer.js client '{"uri": "ws://..."}'
 *       sends TOTAL octets, reads as many, and ends
 */
"use strict";

const { createHash } = require("crypto");
const { Readable, pipeline } = require("stream");
const { WebSocket, WebSocketServer, createWebSocketStream } = require("ws");

const CHUNK = 65536;
const TOTAL = 384 * CHUNK;

function emit(event, fields) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + "\n");
}

function* chunks() {
  for (let sent = 0; sent < TOTAL; sent += CHUNK) {
    emit("produced", { total: sent + CHUNK });
    yield Buffer.alloc(CHUNK, (sent / CHUNK) & 255);
  }
}

function count(duplex, whole) {
  const hash = createHash("sha256");
  let total = 0;
  duplex.on("data", (data) => {
    hash.update(data);
    total += data.length;
    if (total === whole) emit("received", { total, sha256: hash.digest("hex") });
  });
  duplex.on("end", () => emit("eof", { total }));
}

function serve() {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  server.on("listening", () => emit("listening", { port: server.address().port }));
  server.on("connection", (ws, request) => {
    const duplex = createWebSocketStream(ws);
    duplex.on("error", (error) => emit("error", { text: String(error) }));
    if (request.url === "/echo") {
      duplex.pipe(duplex);
    } else if (request.url === "/flood") {
      pipeline(Readable.from(chunks()), duplex, () => emit("flooded", {}));
      duplex.resume();
    } else {
      setTimeout(() => count(duplex, TOTAL), 1000);
    }
    ws.on("close", (code) => emit("end", { path: request.url, code }));
  });
  process.stdin.on("end", () => process.exit(0)).resume();
}

function connect({ uri }) {
  const ws = new WebSocket(uri);
  const duplex = createWebSocketStream(ws);
  duplex.on("error", (error) => emit("failed", { text: String(error) }));
  const hash = createHash("sha256");
  let total = 0;
  duplex.on("data", (data) => {
    hash.update(data);
    total += data.length;
    if (total === TOTAL) {
      emit("received", { total, sha256: hash.digest("hex") });
      duplex.end();
    }
  });
  ws.on("close", (code) => emit("end", { code }));
  const source = Readable.from(chunks());
  source.pipe(duplex, { end: false });
}

if (process.argv[2] === "server") serve();
else connect(JSON.parse(process.argv[3]));
