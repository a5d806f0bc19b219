/* sockjs-client in Node: goes through a list of tours, and prints what it saw.
 *
 *   node sockjs_client.js '[["http://...", {"transports": [...]}, "!close 3000 x"]]'
 */
"use strict";

const SockJS = require("sockjs-client");
const tour = require("./sockjs_tour.js");

async function main() {
  for (const [url, options, end] of JSON.parse(process.argv[2])) {
    const seen = await tour(SockJS, url, options, end);
    process.stdout.write(JSON.stringify({ event: "seen", url, options, ...seen }) + "\n");
  }
  process.exit(0);
}

main();
