// A recording that another model has planned again: its plan in the top view, its figures beside
// those of the recording.

import { COLOURS } from "./canvas.js";
import { fixed } from "./format.js";
import { model } from "./model.js";

const $ = (id) => document.getElementById(id);
const ROWS = [ // title, name, what it is shown as
  ["steer", "steer", (v) => fixed(v, 2)],
  ["pedals", "accel", (v) => fixed(v, 2)],
  ["P(collision)", "collision", (v) => `${(100 * v).toFixed(1)} %`],
  ["surprise", "surprise", (v) => `${v.toFixed(1)} nats`],
  ["planned in", "plan_ms", (v) => `${v.toFixed(0)} ms`],
  ["doubt", "doubt", (v) => ["no", "in doubt", "asks to stop"][v]],
];

/** The plan of this moment, {xy, dt}, or null. */
export function planAgain() {
  const part = model.again;
  if (!part || !part.data.byteLength) return null;
  return { xy: new Float32Array(part.data), dt: part.about.dt };
}

export function showAgain() {
  const again = model.about.again;
  for (const item of document.querySelectorAll(".only-again")) item.hidden = !again;
  if (!again) return;
  $("again-name").textContent = `planned again: ${again.name}`;
  const part = model.again, known = part && part.about.now;
  const cell = (figures, name, shown) => {
    const value = known && figures[name];
    return value === null || value === undefined ? "–" : shown(value);
  };
  for (const [title, name, shown] of ROWS) {
    const row = $("again-rows").querySelector(`[data-name="${name}"]`) || newRow(title, name);
    row.cells[1].textContent = cell(known && part.about.recorded, name, shown);
    row.cells[2].textContent = cell(known && part.about.now, name, shown);
  }
  const apart = known ? part.about.apart : null;
  $("again-apart").textContent = !known ? "not planned again here"
    : apart === null ? "the recording has no plan to compare with"
      : `plans ${apart.toFixed(1)} m apart after ${again.ahead_s} s`;
}

function newRow(title, name) {
  const row = $("again-rows").insertRow();
  row.dataset.name = name;
  row.insertCell().textContent = title;
  row.insertCell();
  row.insertCell();
  return row;
}

/** Marks on the time line at the moments at which the plans differ most. */
export function drawWorst(ctx, x) {
  ctx.fillStyle = COLOURS.again;
  for (const t of model.about.again ? model.about.again.worst : []) {
    ctx.beginPath();
    ctx.moveTo(x(t) - 4, 0);
    ctx.lineTo(x(t) + 4, 0);
    ctx.lineTo(x(t), 6);
    ctx.fill();
  }
}
