/* socket.io-client against a server: the outcome is a line of standard output, as JSON.
 *
 *   node socketio_peer.js '{"uri": "http://...", "transports": ["polling", "websocket"]}'
 */
"use strict";

const { io } = require("socket.io-client");

const { uri, transports } = JSON.parse(process.argv[2]);
const socket = io(uri, { transports, reconnection: false });
const outcome = { events: [] };

function hex(data) {
  return Buffer.from(data).toString("hex");
}

async function main() {
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
  });
  if (socket.io.engine.transport.name !== "websocket" && transports.length > 1) {
    await new Promise((resolve) => socket.io.engine.once("upgrade", resolve));
  }
  outcome.transport = socket.io.engine.transport.name;
  outcome.ack = await socket.emitWithAck("echo", { text: "grüße", n: [1, 2.5, null] });
  outcome.binary = hex(await socket.emitWithAck("echo", Buffer.from([0, 255, 7])));
  const nested = await socket.emitWithAck("echo", [{ a: Buffer.from("xy") }, "z"]);
  outcome.nested = [hex(nested[0].a), nested[1]];
  const big = "ü".repeat(100000);
  outcome.big = (await socket.emitWithAck("echo", big)) === big;
  const room = new Promise((resolve) => socket.once("news", resolve));
  await socket.emitWithAck("join", "kitchen");
  outcome.others = await socket.emitWithAck("tell", "kitchen", "soup");
  outcome.news = await room;
  socket.on("count", (n) => outcome.events.push(n));
  await socket.emitWithAck("count_to", 100);
  outcome.asked = await new Promise((resolve) => {
    socket.once("question", (what, answer) => answer(what + "!"));
    socket.emit("ask_me", "why", resolve);
  });
  const gone = new Promise((resolve) => socket.once("disconnect", resolve));
  socket.emit("throw_me_out");
  outcome.gone = await gone;
}

main().then(
  () => process.stdout.write(JSON.stringify(outcome) + "\n"),
  (error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exitCode = 1;
  },
).finally(() => socket.disconnect());
