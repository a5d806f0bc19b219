// The gauge: starts and stops the load, draws what it reports.

const SVG = "http://www.w3.org/2000/svg";
const LOWEST = 2; // the dial is logarithmic: from 10^2 ...
const HIGHEST = 6; // ... to 10^6 messages per second
const KEPT = 120; // reports in the history, half a minute of them
const element = (id) => document.getElementById(id);
const form = element("drive");
const button = form.querySelector("button");
const gauge = element("gauge");
const canvas = element("history");
const worker = new Worker("/load.js");
const rates = [];
let running = false;

function share(rate) {
  const position = (Math.log10(Math.max(rate, 1)) - LOWEST) / (HIGHEST - LOWEST);
  return Math.min(1, Math.max(0, position));
}

function drawTicks() {
  for (const [value, text] of [[1e2, "100"], [1e3, "1k"], [1e4, "10k"], [1e5, "100k"],
    [1e6, "1M"]]) {
    const angle = Math.PI * (1 - share(value));
    const end = share(value) === 0 || share(value) === 1; // below the arc's ends
    const radius = end ? 100 : 80;
    const tick = document.createElementNS(SVG, "text");
    tick.setAttribute("x", 120 + radius * Math.cos(angle));
    tick.setAttribute("y", (end ? 142 : 123) - radius * Math.sin(angle));
    tick.textContent = text;
    gauge.querySelector(".ticks").append(tick);
  }
}

function drawDial(rate) {
  const arc = 100 * share(rate);
  gauge.querySelector(".value").style.strokeDasharray = `${arc} 200`;
  gauge.parentNode.toggleAttribute("data-idle", rate === 0);
  gauge.setAttribute("aria-valuenow", Math.round(rate));
  element("rate").textContent = Math.round(rate).toLocaleString("en");
}

function drawHistory() {
  const scale = devicePixelRatio;
  const width = (canvas.width = canvas.clientWidth * scale);
  const height = (canvas.height = canvas.clientHeight * scale);
  const context = canvas.getContext("2d");
  const top = Math.max(...rates, 1) * 1.1;
  const step = width / (KEPT - 1);
  const left = width - (rates.length - 1) * step;
  const line = new Path2D();
  rates.forEach((rate, i) => line.lineTo(left + i * step, height * (1 - rate / top)));
  context.strokeStyle = context.fillStyle = getComputedStyle(canvas).color;
  context.lineWidth = 2 * scale;
  context.lineJoin = "round";
  context.stroke(line);
  line.lineTo(width, height);
  line.lineTo(left, height);
  context.globalAlpha = 0.15;
  context.fill(line);
}

function duration(ms) {
  if (ms === undefined) return "–";
  return ms < 1 ? `${(ms * 1000).toPrecision(3)} µs` : `${ms.toPrecision(3)} ms`;
}

function setRunning(on, text) {
  running = on;
  button.textContent = on ? "Stop" : "Start";
  element("load-state").textContent = text;
  element("load-state").classList.toggle("on", on);
  for (const field of form.querySelectorAll("select")) field.disabled = on;
  if (!on) {
    drawDial(0);
    gauge.setAttribute("aria-valuetext", text);
  }
}

worker.onmessage = ({ data }) => {
  if (data.stopped) {
    setRunning(false, data.stopped);
    return;
  }
  rates.push(data.rate);
  if (rates.length > KEPT) rates.shift();
  drawDial(data.rate);
  drawHistory();
  for (const id of ["p50", "p90", "p99"]) element(id).textContent = duration(data[id]);
  element("total").textContent = data.total.toLocaleString("en");
  gauge.setAttribute(
    "aria-valuetext",
    `${Math.round(data.rate)} messages per second, median round trip ` +
      duration(data.p50),
  );
};

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) {
    worker.postMessage(null);
    return;
  }
  worker.postMessage({
    url: `ws://${location.host}/echo`,
    connections: Number(element("connections").value),
    depth: Number(element("depth").value),
    size: Number(element("size").value),
  });
  setRunning(true, "running");
});

// The server's own account of what it spends, told once a second over the chat.
addEventListener("cost", ({ detail }) => {
  element("cpu").textContent = duration(detail.cpu_us / 1000);
  element("core").textContent = `${Math.round(100 * detail.core)} %`;
});

addEventListener("resize", drawHistory);
gauge.setAttribute("aria-valuemax", 10 ** HIGHEST);
drawTicks();
