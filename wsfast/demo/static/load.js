// The load, in a worker of its own so that the page stays smooth: keeps a number of
// messages in flight on each connection and reports four times a second. A message
// begins with the time at which it was sent; the rest is padding.

const REPORT_MS = 250;
let sockets = [];
let roundTrips = []; // of this report, in milliseconds
let total = 0;
let since = 0;
let timer;

function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

function report() {
  const now = performance.now();
  const sorted = Float64Array.from(roundTrips).sort();
  total += sorted.length;
  postMessage({
    rate: (sorted.length * 1000) / (now - since),
    total,
    p50: percentile(sorted, 0.5),
    p90: percentile(sorted, 0.9),
    p99: percentile(sorted, 0.99),
  });
  since = now;
  roundTrips = [];
}

function stop(reason) {
  clearInterval(timer);
  for (const socket of sockets) {
    socket.onclose = null;
    socket.close();
  }
  sockets = [];
  postMessage({ stopped: reason });
}

function connect({ url, depth, size }) {
  const socket = new WebSocket(url);
  const padding = " ".repeat(size);
  const send = () =>
    socket.send((performance.now().toFixed(3) + padding).slice(0, size));
  socket.onopen = () => {
    for (let i = 0; i < depth; i++) send();
  };
  socket.onmessage = (event) => {
    roundTrips.push(performance.now() - parseFloat(event.data));
    if (socket.readyState === WebSocket.OPEN) send();
  };
  socket.onclose = () => stop("connection lost");
  return socket;
}

onmessage = ({ data }) => {
  if (!data) {
    stop("stopped");
    return;
  }
  total = 0;
  roundTrips = [];
  since = performance.now();
  sockets = Array.from({ length: data.connections }, () => connect(data));
  timer = setInterval(report, REPORT_MS);
};
