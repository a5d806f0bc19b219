// eventsource of npm, as a client: `node eventsource_peer.js OPTIONS`, a JSON object with
// `url`, and `types` to listen for besides "message". Prints a line of JSON for each
// thing that happens, and ends with its input.
"use strict";

const { EventSource } = require("eventsource");

const options = JSON.parse(process.argv[2]);
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const source = new EventSource(options.url);

const take = ({ type, data, lastEventId }) =>
  say({ event: "event", type, data, id: lastEventId });
source.onopen = () => say({ event: "open" });
source.onerror = ({ code }) =>
  say({ event: "error", code: code ?? null, state: source.readyState });
source.onmessage = take;
for (const type of options.types) source.addEventListener(type, take);

process.stdin.on("end", () => source.close());
process.stdin.resume();
