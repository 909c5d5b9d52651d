// Buttons and keys: pause, step, another route; play and pace of a recording.

import { model } from "./model.js";

const $ = (id) => document.getElementById(id);

export function wireControls(send) {
  const toggle = () => {
    if (model.about.kind === "bag") send({ do: model.bag && model.bag.playing ? "pause" : "play" });
    else if (model.about.can.time) send({ do: model.state && model.state.paused ? "play" : "pause" });
  };
  const step = () => {
    if (model.about.kind === "bag") send({ do: "step", frames: 1 });
    else if (model.about.can.time) send({ do: "step" });
  };
  $("pause").onclick = $("play").onclick = toggle;
  $("step").onclick = step;
  $("pace").onchange = () => send({ do: "pace", pace: Number($("pace").value) });
  $("expect").onclick = () => send({ do: "expect", on: !model.about.expects });
  $("again").onclick = openEpisode;
  $("episode").onclose = () => {
    if ($("episode").returnValue !== "start") return;
    const fields = new FormData($("episode").querySelector("form"));
    const numbers = ["route", "seed", "traffic", "pedestrians", "cyclists", "trucks"];
    const request = Object.fromEntries(fields);
    for (const name of numbers) request[name] = Number(request[name]);
    send({ do: "start", ...request });
  };
  document.addEventListener("keydown", (event) => {
    if ($("episode").open || event.ctrlKey || event.metaKey || event.altKey) return;
    if (["INPUT", "SELECT"].includes(event.target.tagName)) return;
    if (event.key === " ") { event.preventDefault(); toggle(); }
    if (event.key === ".") step();
  });
}

function openEpisode() {
  for (const input of $("episode").querySelectorAll("input")) {
    const value = (model.about.episode || {})[input.name];
    if (value !== undefined) input.value = value;
  }
  $("episode").returnValue = "";
  $("episode").showModal();
}

export function showControls() {
  const { kind, can = {} } = model.about;
  document.body.dataset.kind = kind;
  $("pause").hidden = $("step").hidden = !can.time;
  $("again").hidden = !can.start;
  const still = model.state && model.state.paused;
  $("pause").toggleAttribute("data-paused", Boolean(still));
  $("pause").querySelector("span").textContent = still ? "Go on" : "Pause";
  $("timeline").hidden = kind !== "bag";
  $("expect").hidden = kind === "bag";
  $("expect").setAttribute("aria-pressed", String(Boolean(model.about.expects)));
  $("expected").hidden = !model.about.expects;
  for (const name of ["imagined", "unexpected"]) {
    $(`${name}-empty`).hidden = Boolean(model[name] && model[name].data.byteLength);
  }
}

let hiding = null;

/** Says for a moment what became of a request. */
export function toast(text, level) {
  const box = $("toast");
  box.textContent = text;
  box.dataset.level = level;
  box.dataset.shown = "";
  clearTimeout(hiding);
  hiding = setTimeout(() => box.removeAttribute("data-shown"), 4000);
}
