// A list of messages, the last of them in view.

const KEPT = 200; // messages on the page

export function show(list, { name, text, at }, me) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const item = document.createElement("li");
  const who = document.createElement("header");
  const bold = document.createElement("b");
  const time = document.createElement("time");
  const when = new Date(at);
  item.classList.toggle("mine", name === me);
  bold.textContent = name;
  time.dateTime = when.toISOString();
  time.textContent = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  who.append(bold, " ", time);
  item.append(who, text);
  list.append(item);
  while (list.children.length > KEPT) list.firstChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}
