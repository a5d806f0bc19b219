/* Sockette on ws: each of its events is a line of standard output, as JSON.
 *
 *   node sockette_peer.js '{"uri": "ws://...", "timeout": 50, "maxAttempts": 3}'
 */
"use strict";

global.WebSocket = require("ws");
const Sockette = require("sockette");

const { uri, timeout, maxAttempts, closes } = JSON.parse(process.argv[2]);

function emit(...event) {
  process.stdout.write(JSON.stringify(event) + "\n");
}

const socket = Sockette(uri, {
  timeout,
  maxAttempts: maxAttempts === null ? undefined : maxAttempts,
  onopen: () => emit("open"),
  onmessage: (e) => {
    emit("message", e.data);
    if (closes === e.data) socket.close(Number(closes), "enough");
  },
  onreconnect: () => emit("reconnect"),
  onmaximum: () => emit("maximum"),
  onclose: (e) => emit("close", e.code, e.reason),
  onerror: () => emit("error"),
});
