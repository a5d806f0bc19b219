// The same chat, as a room of Socket.IO.

import { show } from "/messages.js";
import { SocketIO } from "/socketio.js";

const list = document.getElementById("room-messages");
const state = document.getElementById("room-state");
const form = document.getElementById("room-say");
const nameField = document.getElementById("name");
const textField = document.getElementById("room-text");
const button = form.querySelector("button");
const socket = new SocketIO(`ws://${location.host}`);

socket.addEventListener("connect", () => {
  list.replaceChildren(); // the server tells again what was said
  state.textContent = "connected";
  state.classList.add("on");
  button.disabled = false;
});
socket.addEventListener("disconnect", () => {
  state.textContent = "connection lost, trying again";
  state.classList.remove("on");
  button.disabled = true;
});
socket.on("said", (note) => show(list, note, nameField.value));

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!socket.connected || !textField.value.trim()) return;
  const note = { name: nameField.value, text: textField.value };
  socket.emit("say", note, (delivered) => {
    state.textContent = delivered ? "connected" : "that was no message";
  });
  textField.value = "";
  textField.focus();
});
