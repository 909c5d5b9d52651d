// The last half minute: one small plot per quantity. Behind it, where the gate was not nominal.

import { COLOURS, fresh, gateLevel, runs } from "./canvas.js";
import { fixed } from "./format.js";
import { model, PAST_S, pastOf } from "./model.js";

const PLOTS = {
  speed: { series: [["speed", COLOURS.plan, 3.6]], least: [0, 20], unit: "km/h", digits: 0 },
  steer: { series: [["steer", COLOURS.plan, 1]], least: [-0.5, 0.5], zero: true, unit: "", digits: 2 },
  pedals: { series: [["throttle", COLOURS.good, 1], ["brake", COLOURS.bad, -1]], least: [-1, 1],
    zero: true, unit: "", digits: 2 },
  surprise: { series: [["surprise", COLOURS.surprise, 1]], least: [0, 4], unit: "nats", digits: 1 },
  novelty: { series: [["novelty", "#e5a0c8", 1]], least: [0, 4], unit: "", digits: 1 },
};
const SHADES = { warn: "rgba(240,180,69,.13)", bad: "rgba(242,106,99,.18)" };

export function drawPlots() {
  const end = model.past.rows.length ? model.past.rows[model.past.rows.length - 1][0] : 0;
  for (const [name, plot] of Object.entries(PLOTS)) drawPlot(name, plot, end);
}

function drawPlot(name, plot, end) {
  const { ctx, width, height } = fresh(document.getElementById(`plot-${name}`));
  const series = plot.series.map(([column, colour, factor]) => ({
    colour, points: pastOf(column).map(([t, v]) => [t, v === null ? null : v * factor]),
  }));
  const values = series.flatMap(({ points }) => points.map(([, v]) => v)).filter((v) => v !== null);
  const now = document.getElementById(`plot-${name}-now`);
  if (!values.length) {
    now.textContent = "";
    ctx.fillStyle = COLOURS.faint;
    ctx.font = "12px system-ui, sans-serif";
    ctx.fillText("no data yet", 2, height / 2 + 4);
    return;
  }
  const low = Math.min(plot.least[0], ...values), high = Math.max(plot.least[1], ...values);
  const room = 0.06 * (high - low);
  const x = (t) => width * (1 - (end - t) / PAST_S);
  const y = (v) => 2 + (height - 4) * (1 - (v - low + room) / (high - low + 2 * room));
  shade(ctx, x, height);
  ctx.strokeStyle = COLOURS.edge;
  ctx.lineWidth = 1;
  for (const level of plot.zero ? [0] : [0, plot.least[1]]) {
    ctx.beginPath();
    ctx.moveTo(0, Math.round(y(level)) + 0.5);
    ctx.lineTo(width, Math.round(y(level)) + 0.5);
    ctx.stroke();
  }
  for (const ago of [20, 10]) {
    ctx.beginPath();
    ctx.moveTo(Math.round(x(end - ago)) + 0.5, 0);
    ctx.lineTo(Math.round(x(end - ago)) + 0.5, height);
    ctx.stroke();
  }
  ctx.lineWidth = 1.6;
  ctx.lineJoin = "round";
  for (const { colour, points } of series) trace(ctx, points, x, y, colour);
  ctx.font = "10px system-ui, sans-serif";
  ctx.fillStyle = COLOURS.soft;
  ctx.strokeStyle = COLOURS.panel; // so that a curve behind a number does not cross it out
  ctx.lineWidth = 3;
  for (const [value, line] of [[high, 10], [low, height - 3]]) {
    ctx.strokeText(label(value), 1, line);
    ctx.fillText(label(value), 1, line);
  }
  now.textContent = reading(plot, series);
}

const label = (value) => (Math.abs(value) >= 10 ? value.toFixed(0) : String(Number(value.toFixed(1))));

function reading(plot, series) {
  const last = series.map(({ points }) => points[points.length - 1][1]);
  const known = last.filter((v) => v !== null);
  if (!known.length) return "–";
  const sum = known.reduce((a, b) => a + b, 0);
  return `${fixed(sum, plot.digits)} ${plot.unit}`.trim();
}

function shade(ctx, x, height) {
  const states = pastOf("gate");
  for (const [first, last, name] of runs(states.map(([, state]) => state))) {
    const colour = SHADES[gateLevel(name)];
    if (!colour) continue;
    const from = x(states[Math.max(0, first - 1)][0]);
    ctx.fillStyle = colour;
    ctx.fillRect(from, 0, x(states[last][0]) - from, height);
  }
}

function trace(ctx, points, x, y, colour) {
  ctx.strokeStyle = colour;
  ctx.beginPath();
  let down = false, before = null;
  for (const [t, v] of points) {
    if (v === null || (before !== null && t - before > 1.5)) down = false;
    if (v !== null) {
      if (down) ctx.lineTo(x(t), y(v));
      else ctx.moveTo(x(t), y(v));
      down = true;
    }
    before = t;
  }
  ctx.stroke();
}
