// The chat: one connection, of the kind that is chosen, opened again when it was lost.

import { show } from "/messages.js";
import { Session } from "/sockjs.js";

const messages = document.getElementById("messages");
const state = document.getElementById("chat-state");
const form = document.getElementById("say");
const nameField = document.getElementById("name");
const textField = document.getElementById("text");
const button = form.querySelector("button");
const transport = document.getElementById("transport");

const NAMES = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Ken"];
let socket;
let retryMs = 500;

nameField.value =
  sessionStorage.getItem("name") ?? NAMES[Math.floor(Math.random() * NAMES.length)];
nameField.addEventListener("change", () =>
  sessionStorage.setItem("name", nameField.value));

function setState(text, on) {
  state.textContent = text;
  state.classList.toggle("on", on);
  button.disabled = !on;
}

function receive(event) {
  const note = JSON.parse(event.data);
  if (note.type === "said") {
    show(messages, note, nameField.value);
  } else if (note.type === "people") {
    setState(note.count === 1 ? "only you here" : `${note.count} tabs here`, true);
    document.getElementById("server").textContent = note.server;
  } else if (note.type === "cost") {
    dispatchEvent(new CustomEvent("cost", { detail: note }));
  }
}

function connect() {
  setState("connecting", false);
  const opened = transport.value === "plain"
    ? new WebSocket(`ws://${location.host}/chat`)
    : new Session("/sockjs", transport.value);
  socket = opened;
  socket.onopen = () => {
    retryMs = 500;
    messages.replaceChildren(); // the server tells again what was said
  };
  socket.onmessage = receive;
  socket.onclose = () => {
    if (socket !== opened) return; // another kind was chosen
    setState("connection lost, trying again", false);
    setTimeout(connect, retryMs);
    retryMs = Math.min(2 * retryMs, 10000);
  };
}

transport.addEventListener("change", () => {
  const before = socket;
  connect();
  before.close();
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN || !textField.value.trim()) return;
  socket.send(JSON.stringify({ name: nameField.value, text: textField.value }));
  textField.value = "";
  textField.focus();
});

connect();
