/* faye-websocket, or ws, of npm, as the other side of wsfast.attach. Events go to standard
 * output, one JSON object a line.
 *
 *   node attach_peer.js faye-websocket client ws://...
 *   node attach_peer.js faye-websocket server
 */
"use strict";

const http = require("http");

const [library, role, url] = process.argv.slice(2);

function emit(event, fields) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + "\n");
}

function client() {
  const WebSocket =
    library === "ws" ? require("ws") : require("faye-websocket").Client;
  const ws = new WebSocket(url, ["other", "superchat"]);
  const messages = [];
  ws.onmessage = ({ data }) => {
    messages.push(data);
    if (messages.length === 1) {
      ws.send("from " + library);
      ws.send("é".repeat(40000));
    } else if (messages.length === 3) {
      ws.ping("ping", () => {
        if (library !== "ws") ws.close(4002, "enough");
      });
      if (library === "ws") ws.once("pong", () => ws.close(4002, "enough"));
    }
  };
  ws.onerror = ({ message }) => emit("failed", { message });
  ws.onclose = ({ code, reason }) =>
    emit("end", {
      code,
      reason,
      protocol: ws.protocol,
      messages: messages.map((m) => m.slice(0, 80)),
    });
}

function server() {
  const { WebSocket } = require("faye-websocket");
  const listening = http.createServer((request, response) => response.end("plain"));
  listening.on("upgrade", (request, socket, body) => {
    if (!WebSocket.isWebSocket(request)) return;
    const ws = new WebSocket(request, socket, body, ["chat"], {
      headers: { "X-Host": "faye" },
    });
    ws.onmessage = ({ data }) => {
      if (data === "!close") ws.close(4003, "as told");
      else if (data === "!ping") ws.ping("ping", () => ws.send("pong"));
      else ws.send(data);
    };
    ws.onclose = ({ code, reason }) => emit("end", { code, reason });
  });
  listening.listen(0, "127.0.0.1", () =>
    emit("listening", { port: listening.address().port }),
  );
}

({ client, server })[role]();
