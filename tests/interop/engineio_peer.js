/* engine.io of npm, both sides; each thing that happens is a line of JSON.
 *
 *   node engineio_peer.js client '{"uri": "http://...", "transports": ["polling"]}'
 *   node engineio_peer.js server '{"pingInterval": 300}'
 *
 * The client sends messages of many kinds, counts to a hundred across an upgrade, hears
 * two pings, and leaves. The server echoes, and closes when told so; it ends with its
 * input.
 */
"use strict";

const http = require("http");

const [role, options] = [process.argv[2], JSON.parse(process.argv[3])];
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const plain = (data) => (typeof data === "string" ? data : Buffer.from(data).toString("hex"));

const MESSAGES = ["hello", "é漢🚀", Buffer.from([0, 255, 30, 7]), "x".repeat(100000)];

function client({ uri, transports }) {
  const { Socket } = require("engine.io-client");
  const socket = new Socket(uri, { transports });
  const upgrades = transports.length > 1;
  const outcome = { opened: "", echoes: [], counted: 0, pings: 0, inOrder: true };
  const count = (from, to) => {
    for (let n = from; n < to; n++) socket.send(`${n}`);
  };
  const leave = () => {
    if (outcome.pings >= 2 && outcome.counted === 100) socket.close();
  };
  socket.binaryType = "arraybuffer";
  socket.on("open", () => {
    outcome.opened = socket.transport.name;
    for (const message of MESSAGES) socket.send(message);
    count(0, 5);
    if (!upgrades) count(5, 10);
  });
  socket.on("upgrading", () => count(5, 10));
  socket.on("message", (data) => {
    const text = plain(data);
    if (outcome.echoes.length < MESSAGES.length) {
      outcome.echoes.push(text.length > 1000 ? text.length : text);
      return;
    }
    if (text !== `${outcome.counted}`) outcome.inOrder = false;
    outcome.counted++;
    // No more than what goes into a payload at a time, and all kinds of moments.
    if (outcome.counted % 10 === 0 && outcome.counted < 100)
      count(outcome.counted, outcome.counted + 10);
    leave();
  });
  socket.on("ping", () => {
    outcome.pings++;
    leave();
  });
  socket.on("error", (error) => say({ error: `${error.message} ${error.description}` }));
  socket.on("close", (reason) => {
    outcome.transport = socket.transport.name;
    outcome.reason = reason;
    say(outcome);
  });
}

function server(more) {
  const engine = require("engine.io");
  const base = http.createServer();
  const allowRequest = (req, allow) => allow("not today", !req.headers["x-refuse"]);
  const io = engine.attach(base, { ...more, allowRequest });
  io.on("connection", (socket) => {
    say({ event: "open", transport: socket.transport.name });
    socket.on("upgrade", () => say({ event: "upgrade" }));
    socket.on("close", (reason) => say({ event: "close", reason }));
    socket.on("message", (data) => {
      if (data === "close") socket.close();
      else socket.send(data);
    });
  });
  io.on("connection_error", ({ code, message }) => say({ event: "refused", code, message }));
  base.listen(0, "127.0.0.1", () => say({ event: "port", port: base.address().port }));
  process.stdin.on("end", () => process.exit(0));
  process.stdin.resume();
}

({ client, server })[role](options);
