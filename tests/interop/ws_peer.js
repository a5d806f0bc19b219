/* The peer from npm, ws, as a server that obeys and as a client that tours: the same steps
 * as in tests/support/tour.py. Events go to standard output, one JSON object a line.
 *
 *   node ws_peer.js server '{"deflate": true}'
 *   node ws_peer.js client '{"deflate": true, "uri": "ws://...", "end": "client"}'
 */
"use strict";

const { WebSocket, WebSocketServer } = require("ws");

const SIZES = [0, 1, 2, 125, 126, 127, 65535, 65536, 300000];
const BURST = 300;

function emit(event, fields) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + "\n");
}

function textOf(size) {
  const alphabet = ["a", "é", "漢", "🎈"];
  return Array.from({ length: size }, (_, n) => alphabet[n % 4]).join("");
}

function octetsOf(size) {
  return Buffer.from(Array.from({ length: size }, (_, n) => n & 255));
}

/* Cut into pieces of characters or octets, and an empty one at the end. */
function sendPieces(ws, message, count) {
  const binary = Buffer.isBuffer(message);
  const units = binary ? message : Array.from(message);
  const step = Math.ceil(units.length / count);
  for (let start = 0; start < units.length; start += step) {
    const piece = units.slice(start, start + step);
    ws.send(binary ? piece : piece.join(""), { binary, fin: false });
  }
  ws.send(binary ? Buffer.alloc(0) : "", { binary, fin: true });
}

function obey(ws) {
  ws.on("message", (data, isBinary) => {
    const message = isBinary ? data : data.toString();
    const [order, first, ...rest] = isBinary ? [""] : message.split(" ");
    if (order === "!close") {
      ws.close(Number(first), rest.join(" "));
    } else if (order === "!fragments") {
      sendPieces(ws, textOf(Number(first)), 7);
    } else if (order === "!ping") {
      ws.once("pong", (payload) => ws.send(`pong ${payload}`));
      ws.ping(first);
    } else {
      ws.send(message, { binary: isBinary });
    }
  });
}

function serve({ deflate }) {
  const server = new WebSocketServer({
    host: "127.0.0.1",
    port: 0,
    perMessageDeflate: deflate ? { threshold: 0 } : false,
  });
  server.on("listening", () => emit("listening", { port: server.address().port }));
  server.on("connection", (ws, request) => {
    obey(ws);
    ws.on("error", (error) => emit("error", { text: String(error) }));
    ws.on("close", (code, reason) =>
      emit("end", { path: request.url, code, reason: reason.toString() })
    );
  });
  process.stdin.on("end", () => process.exit(0)).resume();
}

async function tour({ uri, deflate, end }) {
  const ws = new WebSocket(uri, {
    perMessageDeflate: deflate ? { threshold: 0 } : false,
  });
  const queue = [];
  let wanted = null;
  ws.on("message", (data, isBinary) => {
    queue.push(isBinary ? data : data.toString());
    if (wanted) wanted();
  });
  const receive = async () => {
    while (!queue.length) await new Promise((resolve) => (wanted = resolve));
    return queue.shift();
  };
  const expect = async (message, what) => {
    const reply = await receive();
    const same = Buffer.isBuffer(message)
      ? Buffer.isBuffer(reply) && message.equals(reply)
      : message === reply;
    if (!same) throw new Error(`${what} came back bad`);
  };
  const ping = (payload) =>
    new Promise((resolve, reject) => {
      ws.once("pong", (data) =>
        data.toString() === payload ? resolve() : reject(new Error("another pong"))
      );
      ws.ping(payload);
    });
  const closed = new Promise((resolve) => ws.on("close", (...args) => resolve(args)));
  await new Promise((resolve, reject) => ws.on("open", resolve).on("error", reject));

  for (const size of SIZES) {
    for (const message of [textOf(size), octetsOf(size)]) {
      ws.send(message);
      await expect(message, `message of ${size}`);
    }
  }
  for (const message of [textOf(1000), octetsOf(1000)]) {
    sendPieces(ws, message, 7);
    await expect(message, "fragments");
  }
  ws.send("!fragments 5000");
  await expect(textOf(5000), "the server's fragments");
  await ping("are you there");
  await ping("");
  ws.send("!ping 1234");
  await expect("pong 1234", "the server's ping");
  for (let n = 0; n < BURST; n++) ws.send(`${n} of many`);
  for (let n = 0; n < BURST; n++) await expect(`${n} of many`, "one of many");
  emit("toured", { extensions: ws.extensions });
  if (end === "client") ws.close(3456, "so long");
  else ws.send("!close 4321 farewell");
  const [code, reason] = await closed;
  emit("end", { code, reason: reason.toString() });
}

const options = JSON.parse(process.argv[3]);
if (process.argv[2] === "server") serve(options);
else
  tour(options).catch((error) => {
    emit("failed", { text: String(error) });
    process.exit(1);
  });
