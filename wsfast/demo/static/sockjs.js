// A session of SockJS, over the transport that is asked for; it looks like a WebSocket.

const { CONNECTING, OPEN, CLOSED } = WebSocket;

export class Session {
  constructor(base, transport) {
    this.readyState = CONNECTING;
    this.url = `${base}/${number(1000)}/${number(1e16)}`;
    this.waiting = []; // messages to be sent while a request is under way
    this.stopped = new AbortController();
    this[transport]().then(
      () => this.end(),
      () => this.end(),
    );
  }

  // ---- the transports: each is done when the session has ended ----

  websocket() {
    const socket = new WebSocket(`ws://${location.host}${this.url}/websocket`);
    this.deliver = (messages) => socket.send(JSON.stringify(messages));
    this.stopped.signal.addEventListener("abort", () => socket.close());
    socket.onmessage = (event) => this.take(event.data);
    return new Promise((done) => {
      socket.onclose = done;
    });
  }

  eventsource() {
    const source = new EventSource(`${this.url}/eventsource`);
    this.stopped.signal.addEventListener("abort", () => source.close());
    source.onmessage = (event) => this.take(decodeURI(event.data));
    return new Promise((done) => {
      this.stopped.signal.addEventListener("abort", done);
      source.onerror = () => {
        if (source.readyState === EventSource.CLOSED) done();
      };
    });
  }

  async ["xhr-streaming"]() {
    while (!this.stopped.signal.aborted) {
      const response = await this.post("xhr_streaming");
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (let piece; !(piece = await reader.read()).done; ) {
        const lines = (rest + piece.value).split("\n");
        rest = lines.pop();
        for (const line of lines) this.take(line);
      }
    }
  }

  async ["xhr-polling"]() {
    while (!this.stopped.signal.aborted) {
      const text = await (await this.post("xhr")).text();
      this.take(text.trimEnd());
    }
  }

  async htmlfile() {
    const name = callback();
    window[name] = { start() {}, stop() {}, message: (frame) => this.take(frame) };
    while (!this.stopped.signal.aborted) {
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.src = `${this.url}/htmlfile?c=${name}`;
      await this.loaded(frame);
    }
    delete window[name];
  }

  async ["jsonp-polling"]() {
    const name = callback();
    window[name] = (frame) => this.take(frame);
    this.bring = (messages) =>
      this.post("jsonp_send", new URLSearchParams({ d: JSON.stringify(messages) }));
    while (!this.stopped.signal.aborted) {
      const script = document.createElement("script");
      script.src = `${this.url}/jsonp?c=${name}`;
      await this.loaded(script);
    }
    window[name] = () => {}; // a script that is on its way may still call it
  }

  // ---- what they share ----

  loaded(element) {
    return new Promise((done, failed) => {
      element.onload = done;
      element.onerror = failed;
      this.stopped.signal.addEventListener("abort", done);
      document.body.append(element);
    }).finally(() => element.remove());
  }

  bring(messages) {
    return this.post("xhr_send", JSON.stringify(messages));
  }

  async post(path, body) {
    const { signal } = this.stopped;
    const response = await fetch(`${this.url}/${path}`, { method: "POST", body, signal });
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return response;
  }

  async deliver(messages) {
    this.waiting.push(...messages);
    if (this.sending) return; // in order: one request after the other
    this.sending = true;
    try {
      while (this.waiting.length) {
        await (await this.bring(this.waiting.splice(0))).text();
      }
    } catch {
      this.close();
    }
    this.sending = false;
  }

  take(frame) {
    if (frame === "o") {
      this.readyState = OPEN;
      this.onopen?.();
    } else if (frame[0] === "a") {
      for (const data of JSON.parse(frame.slice(1))) this.onmessage?.({ data });
    } else if (frame[0] === "c") {
      this.close();
    }
  }

  send(message) {
    this.deliver([message]);
  }

  close() {
    this.stopped.abort();
    this.end();
  }

  end() {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.stopped.abort();
    this.onclose?.();
  }
}

function callback() {
  return `sockjs${number(1e16)}`;
}

function number(below) {
  const random = crypto.getRandomValues(new Uint32Array(2));
  const value = (random[0] * 2 ** 21 + random[1] / 2 ** 11) % below;
  return String(Math.floor(value)).padStart(3, "0");
}
