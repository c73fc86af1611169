"use strict";
const takes = [...document.querySelectorAll(".take")].filter((take) => take.querySelectorAll(".voice").length > 1);
const [blind, start, reveal, save] = ["blind", "start", "reveal", "save"].map((id) => document.getElementById(id));
const choices = new Map();  // take -> letter, or "" for no difference
const nameless = `listener ${[...crypto.getRandomValues(new Uint8Array(4))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;

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
  take.querySelectorAll(".best, .none").forEach((other) => { other.disabled = true; });
  take.querySelector(".chosen").textContent = "Chosen.";
  tell();
  const next = takes.find((other) => !choices.has(other));
  (next ? next.querySelector("audio, .best") : start).focus({ preventScroll: true });
}

function tell() {
  if (choices.size < takes.length) {
    document.getElementById("tally").textContent = `${choices.size} of ${takes.length} takes chosen.`;
    return;
  }
  takes.forEach(show);  // not before: which model is which must not show while others are still to be chosen
  finish();
}

function finish() {
  const counts = new Map();
  for (const letter of choices.values()) counts.set(letter, (counts.get(letter) || 0) + 1);
  const best = [...counts].filter(([letter]) => letter).sort().map(([letter, count]) => `${letter} ${count}`);
  if (counts.has("")) best.push(`no difference ${counts.get("")}`);
  for (const [take, letter] of choices) take.querySelector(".chosen").textContent = letter ? `You chose ${letter}.` : "You heard no difference.";
  document.getElementById("tally").textContent = `Your choices: ${best.join(", ") || "none"}; ${choices.size} of ${takes.length} takes.`;
  reveal.disabled = true;
  start.disabled = false;
  start.textContent = "Listen blind again";
  save.hidden = choices.size === 0;
}

function keep() {  // to a file of the listener's own: the page may ask nothing of any network
  const models = {};
  for (const voice of document.querySelectorAll(".voice")) models[voice.dataset.letter] = voice.dataset.about;
  const votes = [...choices].map(([take, letter]) => ({
    text: take.dataset.text, language: take.dataset.language, seed: Number(take.dataset.seed), chosen: letter || null,
    heard: [...take.querySelectorAll(".voice")].map((voice) => voice.dataset.letter),  // from left to right, as they were shuffled
  }));
  const listener = document.getElementById("listener").value.trim() || nameless;
  const found = { schema: 1, kind: "xtts-verify votes", comparison: blind.dataset.comparison, listener, saved: new Date().toISOString(), models, votes };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(found, null, 2), "\n"], { type: "application/json" }));
  link.download = `votes-${listener.replace(/[^\p{L}\p{N}]+/gu, "-")}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

if (takes.length) {
  start.addEventListener("click", () => {
    document.querySelectorAll("audio").forEach((audio) => audio.pause());
    document.querySelectorAll("#others").forEach((part) => { part.open = true; });
    choices.clear();
    takes.forEach(hide);
    start.disabled = true;
    reveal.disabled = false;
    save.hidden = true;
    reveal.focus({ preventScroll: true });
    tell();
  });
  reveal.addEventListener("click", () => { takes.forEach(show); finish(); start.focus({ preventScroll: true }); });
  document.getElementById("keep").addEventListener("click", keep);
  for (const take of takes) {
    for (const voice of take.querySelectorAll(".voice")) {
      voice.querySelector(".best").addEventListener("click", (event) => choose(take, event.currentTarget, voice.dataset.letter));
    }
    take.querySelector(".none").addEventListener("click", (event) => choose(take, event.currentTarget, ""));
  }
  blind.hidden = false;
}
document.addEventListener("play", (event) => {  // one voice at a time
  document.querySelectorAll("audio").forEach((audio) => { if (audio !== event.target) audio.pause(); });
}, true);
