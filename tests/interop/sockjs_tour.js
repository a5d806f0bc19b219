/* What a client of sockjs-client goes through, in a page and in Node. */
"use strict";

const unicode = [
  " ",
  'quotes " and \\ and / and \x7f',
  String.fromCharCode(...Array(0x20).keys()),
  "é漢🚀",
  "%25 %0A %zz 100% \r\n\r\n",
  String.fromCharCode(...Array.from(Array(0x70).keys(), (n) => 0x2000 + n)),
  String.fromCharCode(...Array.from(Array(0x10).keys(), (n) => 0xfff0 + n)),
  String.fromCharCode(...Array.from(Array(0x334).keys(), (n) => 0x300 + n)),
  "\ud800 alone, and \udfff",
  '["a"]',
  "\ufeffmark",
];

/* Connect, have messages sent back, be sent many, and close; resolve with what was
 * seen. With `end` the server is asked to close, by a message; else we do. */
function tour(SockJS, url, options, end) {
  const seen = { bad: [], heartbeats: 0 };
  const queue = [];
  let wake = () => {};
  const socket = new SockJS(url, null, { timeout: 20000, ...options });
  socket.onmessage = (event) => { queue.push(event.data); wake(); };
  socket.onheartbeat = () => { seen.heartbeats++; wake(); };
  const closed = new Promise((resolve) => (socket.onclose = (event) => {
    Object.assign(seen, { code: event.code, reason: event.reason });
    Object.assign(seen, { clean: event.wasClean });
    resolve(seen);
    wake();
  }));
  const news = () => new Promise((resolve) => (wake = resolve));
  async function receive() {
    while (!queue.length && socket.readyState < 2) await news();
    return queue.shift();
  }
  socket.onopen = async () => {
    seen.transport = socket.transport;
    // All at once: timers, of which sending takes one a time, are slow in hidden frames.
    const texts = [...unicode, "é".repeat(100001), ...Array(100).keys()].map(String);
    for (const text of texts) socket.send(text);
    for (const text of texts) {
      if ((await receive()) !== text) seen.bad.push(text.slice(0, 40));
    }
    socket.send("!many 100 1000");
    for (let n = 0; n < 100; n++) {
      const text = await receive();
      if (!text || text.length !== 1000 || text.split(" ")[0] !== `${n}`) seen.bad.push(-n);
    }
    while (url.endsWith("/beating") && seen.heartbeats < 3 && socket.readyState < 2) {
      await news();
    }
    if (end) socket.send(end);
    else socket.close(3210, "enough");
  };
  return closed;
}

if (typeof module !== "undefined") module.exports = tour;
