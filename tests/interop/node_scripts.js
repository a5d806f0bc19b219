/* Runs pieces of JavaScript that the tests send, with npm's packages at hand.
 *
 * A line of standard input is {"id", "code", "args"}: the body of an async function of
 * (require, shared, args), where `shared` outlives it. A line of standard output is
 * {"id", "result"} or {"id", "error"}; octets in a result are {"hex": "..."}. */
"use strict";

const readline = require("node:readline");

const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;
const shared = {};

function plain(value) {
  if (Buffer.isBuffer(value)) return { hex: value.toString("hex") };
  if (value instanceof ArrayBuffer) return plain(Buffer.from(value));
  if (ArrayBuffer.isView(value)) return plain(Buffer.from(value.buffer));
  if (Array.isArray(value)) return value.map(plain);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
  }
  return value === undefined ? null : value;
}

function say(message) {
  process.stdout.write(JSON.stringify(message) + "\n");
}

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, code, args } = JSON.parse(line);
  try {
    const result = await new AsyncFunction("require", "shared", "args", code)(
      require, shared, args);
    say({ id, result: plain(result) });
  } catch (error) {
    say({ id, error: String((error && error.stack) || error) });
  }
}).on("close", () => process.exit(0));
