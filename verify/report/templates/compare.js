"use strict";
const takes = [...document.querySelectorAll(".take")].filter((take) => take.querySelectorAll(".voice").length > 1);
const start = document.getElementById("start"), reveal = document.getElementById("reveal");
const choices = new Map();  // take -> letter, or "" for no difference

function random(below) {  // without the bias of a remainder
  const most = 2 ** 32 - (2 ** 32 % below), found = new Uint32Array(1);
  do { crypto.getRandomValues(found); } while (found[0] >= most);
  return found[0] % below;
}

function shuffled(items) {
  const order = [...items];
  for (let at = order.length - 1; at > 0; at--) {
    const other = random(at + 1);
    [order[at], order[other]] = [order[other], order[at]];
  }
  return order;
}

function call(voice, name) {
  voice.querySelector(".shown").textContent = name;
  voice.querySelector(".best").textContent = `${name} is best`;
  voice.querySelector("audio")?.setAttribute("aria-label", name);
}

function hide(take) {
  const list = take.querySelector(".voices");
  shuffled(list.children).forEach((voice, at) => {
    list.append(voice);
    call(voice, `Voice ${at + 1}`);
    voice.querySelectorAll(".named").forEach((part) => { part.hidden = true; });
  });
  take.querySelectorAll(".best, .none").forEach((button) => { button.hidden = false; button.disabled = false; button.setAttribute("aria-pressed", "false"); });
  take.querySelector(".chosen").textContent = "";
}

function show(take) {
  for (const voice of take.querySelectorAll(".voice")) {
    call(voice, voice.dataset.letter);
    voice.querySelectorAll(".named").forEach((part) => { part.hidden = false; });
  }
  take.querySelectorAll(".best, .none").forEach((button) => { button.disabled = true; button.hidden = !choices.has(take); });
}

function choose(take, button, letter) {
  choices.set(take, letter);
  button.setAttribute("aria-pressed", "true");
  show(take);
  take.querySelector(".chosen").textContent = letter ? `You chose ${letter}.` : "You heard no difference.";
  tell();
  const next = takes.find((other) => !choices.has(other));
  (next ? next.querySelector("audio, .best") : start).focus({ preventScroll: true });
}

function tell() {
  const counts = new Map();
  for (const letter of choices.values()) counts.set(letter, (counts.get(letter) || 0) + 1);
  const best = [...counts].filter(([letter]) => letter).sort().map(([letter, count]) => `${letter} ${count}`);
  if (counts.has("")) best.push(`no difference ${counts.get("")}`);
  document.getElementById("tally").textContent = `Your choices: ${best.join(", ") || "none"}; ${choices.size} of ${takes.length} sentences.`;
  if (choices.size === takes.length) finish();
}

function finish() {
  reveal.disabled = true;
  start.disabled = false;
  start.textContent = "Listen blind again";
}

start.addEventListener("click", () => {
  document.querySelectorAll("audio").forEach((audio) => audio.pause());
  choices.clear();
  takes.forEach(hide);
  start.disabled = true;
  reveal.disabled = false;
  reveal.focus({ preventScroll: true });
  tell();
});
reveal.addEventListener("click", () => { takes.forEach(show); finish(); start.focus({ preventScroll: true }); });
for (const take of takes) {
  for (const voice of take.querySelectorAll(".voice")) {
    voice.querySelector(".best").addEventListener("click", (event) => choose(take, event.currentTarget, voice.dataset.letter));
  }
  take.querySelector(".none").addEventListener("click", (event) => choose(take, event.currentTarget, ""));
}
document.addEventListener("play", (event) => {  // one voice at a time
  document.querySelectorAll("audio").forEach((audio) => { if (audio !== event.target) audio.pause(); });
}, true);
if (takes.length) document.getElementById("blind").hidden = false;
