// The time line of a recording: speed, surprise, and where the gate was not nominal; click to seek.

import { drawWorst } from "./again.js";
import { COLOURS, fresh, gateLevel, runs } from "./canvas.js";
import { model } from "./model.js";

const canvas = document.getElementById("line");
const clock = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, "0")}`;

export function wireTimeline(send) {
  let waiting = false;
  const seek = (event) => {
    if (!model.bag || waiting) return;
    const box = canvas.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    send({ do: "seek", t: share * model.bag.length });
    waiting = true; // dragging sends no more than a screen shows
    setTimeout(() => { waiting = false; }, 40);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    seek(event);
  });
  canvas.addEventListener("pointermove", (event) => event.buttons && seek(event));
  document.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && model.bag && !["INPUT", "SELECT"].includes(event.target.tagName)) {
      event.preventDefault();
      send({ do: "seek", t: model.bag.at + by });
    }
  });
}

export function drawTimeline() {
  const bag = model.bag;
  if (!bag || model.about.kind !== "bag") return;
  document.getElementById("play").toggleAttribute("data-paused", !bag.playing);
  document.getElementById("line-text").textContent = `${clock(bag.at)} / ${clock(bag.length)}`;
  const { ctx, width, height } = fresh(canvas);
  const line = model.about.line;
  if (!line) return;
  const x = (t) => 4 + (width - 8) * (bag.length ? t / bag.length : 0);
  const level = { warn: "rgba(240,180,69,.35)", bad: "rgba(242,106,99,.5)" };
  for (const [first, last, name] of runs(line.gate)) {
    const colour = level[gateLevel(name)];
    if (!colour) continue;
    const from = x(line.t[first]);
    ctx.fillStyle = colour;
    ctx.fillRect(from, 0, Math.max(1.5, x(line.t[last + 1] ?? bag.length) - from), height);
  }
  curve(ctx, line.t, line.speed, COLOURS.plan, x, height);
  curve(ctx, line.t, line.surprise, COLOURS.surprise, x, height);
  if (line.apart) curve(ctx, line.t, line.apart, COLOURS.again, x, height);
  drawWorst(ctx, x);
  ctx.fillStyle = COLOURS.text;
  ctx.fillRect(x(bag.at) - 1, 0, 2, height);
}

function curve(ctx, times, values, colour, x, height) {
  const most = Math.max(1e-6, ...values.filter((v) => v !== null));
  ctx.strokeStyle = colour;
  ctx.globalAlpha = 0.7;
  ctx.lineWidth = 1.2;
  ctx.beginPath();
  let down = false;
  values.forEach((v, i) => {
    if (v === null) { down = false; return; }
    const y = height - 3 - (height - 8) * v / most;
    if (down) ctx.lineTo(x(times[i]), y);
    else ctx.moveTo(x(times[i]), y);
    down = true;
  });
  ctx.stroke();
  ctx.globalAlpha = 1;
}
