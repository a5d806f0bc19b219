// A client of Socket.IO 5 for this page: one namespace, over a WebSocket, without binary
// events. Comes back when the connection is lost.

export class SocketIO extends EventTarget {
  #handlers = new Map();
  #replies = new Map();
  #nextId = 0;
  #retryMs = 500;
  #socket;
  connected = false;

  constructor(url) {
    super();
    this.#open(`${url}/socket.io/?EIO=4&transport=websocket`);
  }

  on(event, handler) {
    this.#handlers.set(event, handler);
  }

  // Sends an event; the reply, if there is one, goes to `reply`.
  emit(event, ...args) {
    const reply = typeof args.at(-1) === "function" ? args.pop() : undefined;
    const id = reply ? this.#nextId++ : "";
    if (reply) this.#replies.set(id, reply);
    this.#socket.send(`42${id}${JSON.stringify([event, ...args])}`);
  }

  #open(url) {
    this.#socket = new WebSocket(url);
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onclose = () => {
      this.#is(false);
      this.#replies.clear();
      setTimeout(() => this.#open(url), this.#retryMs);
      this.#retryMs = Math.min(2 * this.#retryMs, 10000);
    };
  }

  #is(connected) {
    this.connected = connected;
    this.dispatchEvent(new Event(connected ? "connect" : "disconnect"));
  }

  #receive(packet) {
    if (packet[0] === "0") this.#socket.send("40"); // open: enter the namespace
    else if (packet === "2") this.#socket.send("3"); // ping: pong
    else if (packet.startsWith("40")) {
      this.#retryMs = 500;
      this.#is(true);
    } else {
      const [, type, id, json] = /^4([23])(\d*)(.*)$/s.exec(packet) ?? [];
      if (type === "2") {
        const [event, ...args] = JSON.parse(json);
        this.#handlers.get(event)?.(...args);
      } else if (type === "3") {
        this.#replies.get(Number(id))?.(...JSON.parse(json));
        this.#replies.delete(Number(id));
      }
    }
  }
}
