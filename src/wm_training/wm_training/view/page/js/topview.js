// The scene from above, forward is up: town, route, road users, imagined futures, chosen plan.

import { planAgain } from "./again.js";
import { COLOURS, costColour, fresh } from "./canvas.js";
import { model, moving, pastOf } from "./model.js";

const HEIGHT_M = 84; // of what is shown, at least
const EGO_ROW = 0.74; // of the height, from the top
const LIGHTS = ["#f26a63", "#f0b445", "#56cf9a"]; // red, yellow, green; others are not drawn
const KINDS = { 4: "#d58bd8", 5: "#c9b458", 6: "#e3954f", 7: "#c9804a", 8: "#c9b458", 9: "#c9804a" };
const OTHER = "#8b6f5a";
const TRAIL_S = 8;

export function drawTop(canvas, now) {
  const { ctx, width, height } = fresh(canvas);
  const found = moving(now);
  if (!found) return;
  const { ego, objects } = found;
  const scale = height / HEIGHT_M;
  const view = { x: width / 2, y: height * EGO_ROW, scale };
  ctx.save();
  ctx.translate(view.x, view.y);
  // Map axes: x east, y north; ahead of the ego is up.
  ctx.rotate(ego.yaw - Math.PI / 2);
  ctx.scale(scale, -scale);
  ctx.translate(-ego.x, -ego.y);
  ctx.lineJoin = ctx.lineCap = "round";
  drawTown(ctx, ego, Math.hypot(width, height) / scale);
  drawRoute(ctx);
  drawTrail(ctx, ego);
  drawFan(ctx, ego);
  drawLights(ctx);
  for (const row of objects) drawRoadUser(ctx, row);
  drawPlan(ctx, ego, scale);
  drawAgain(ctx, ego, scale);
  drawEgo(ctx, ego);
  ctx.restore();
  drawScale(ctx, width, height, scale);
}

function drawTown(ctx, ego, reach) {
  if (!model.town) return;
  const near = ({ box }) => box[0] < ego.x + reach && box[2] > ego.x - reach
    && box[1] < ego.y + reach && box[3] > ego.y - reach;
  const surfaces = model.town.surfaces.filter(near);
  for (const kind of ["walk", "road"]) {
    ctx.fillStyle = ctx.strokeStyle = COLOURS[kind];
    ctx.lineWidth = 0.25; // closes the hairlines between lanes
    for (const shape of surfaces) {
      if (shape.kind !== kind) continue;
      ctx.fill(shape.path);
      ctx.stroke(shape.path);
    }
  }
  ctx.strokeStyle = COLOURS.line;
  ctx.lineWidth = 0.15;
  for (const shape of model.town.lines.filter(near)) {
    ctx.setLineDash(shape.broken ? [2, 3] : []);
    ctx.stroke(shape.path);
  }
  ctx.setLineDash([]);
}

function drawRoute(ctx) {
  if (!model.route || !model.state.route) return;
  const at = Math.max(0, Math.floor(model.state.route.s) - 12);
  const ahead = model.route.points.slice(at, at + 120);
  ctx.strokeStyle = COLOURS.route;
  ctx.lineWidth = 0.7;
  ctx.globalAlpha = 0.75;
  line(ctx, ahead);
  ctx.globalAlpha = 1;
}

function line(ctx, points) {
  ctx.beginPath();
  points.forEach(([x, y], i) => (i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
  ctx.stroke();
}

function drawTrail(ctx, ego) {
  const xs = pastOf("x"), ys = pastOf("y");
  const from = model.state.t - TRAIL_S;
  const points = xs.map(([t, x], i) => [x, ys[i][1], t])
    .filter(([x, y, t]) => t > from && t < model.state.t && x !== null && y !== null);
  points.push([ego.x, ego.y, model.state.t]);
  ctx.lineWidth = 0.3;
  ctx.lineCap = "butt";
  for (let i = 1; i < points.length; i += 1) {
    if (Math.hypot(points[i][0] - points[i - 1][0], points[i][1] - points[i - 1][1]) > 8) continue;
    ctx.strokeStyle = `rgba(205,214,224,${0.65 * (points[i][2] - from) / TRAIL_S})`;
    line(ctx, [points[i - 1], points[i]]);
  }
  ctx.lineCap = "round";
}

/** The futures of this moment; of a planner that stopped, none are left standing. */
function standing() {
  const age = model.state.age.imagined_rollouts;
  return model.futures && age !== undefined && (age < 1 || model.state.paused) ? model.futures : null;
}

function path(ctx, ego, xy, from, to) {
  ctx.beginPath();
  if (from === 0) ctx.moveTo(ego.x, ego.y);
  for (let i = Math.max(0, from - 1); i < to; i += 1) {
    if (i === from - 1) ctx.moveTo(xy[2 * i], xy[2 * i + 1]);
    else ctx.lineTo(xy[2 * i], xy[2 * i + 1]);
  }
  ctx.stroke();
}

function drawFan(ctx, ego) {
  const futures = standing();
  if (!futures) return;
  ctx.lineWidth = 0.13;
  futures.fan.forEach((xy, i) => { // dearest first
    const rank = futures.fan.length > 1 ? 1 - i / (futures.fan.length - 1) : 0;
    ctx.strokeStyle = costColour(rank, 0.8 - 0.45 * rank);
    path(ctx, ego, xy, 0, futures.steps);
  });
}

/** The chosen plan; what of it does not count, because the model does not trust it, is dashed. */
function drawPlan(ctx, ego, scale) {
  const futures = standing();
  if (!futures) return;
  const trusted = model.state.plan && model.state.plan.trusted_s;
  const steps = trusted && futures.dt
    ? Math.min(futures.steps, Math.round(trusted / futures.dt)) : futures.steps;
  ctx.strokeStyle = COLOURS.plan;
  ctx.lineWidth = Math.max(0.42, 2.6 / scale);
  ctx.shadowColor = COLOURS.plan;
  ctx.shadowBlur = 9;
  path(ctx, ego, futures.chosen, 0, steps);
  ctx.shadowBlur = 0;
  if (steps < futures.steps) {
    ctx.setLineDash([0.5, 1]);
    ctx.globalAlpha = 0.6;
    path(ctx, ego, futures.chosen, steps, futures.steps);
    ctx.setLineDash([]);
    ctx.globalAlpha = 1;
  }
  dots(ctx, futures.chosen, futures.dt, COLOURS.plan);
}

/** A dot a second. */
function dots(ctx, xy, dt, colour) {
  const stride = Math.max(1, Math.round(1 / (dt || 0.2)));
  ctx.fillStyle = colour;
  for (let i = stride - 1; 2 * i < xy.length; i += stride) {
    ctx.beginPath();
    ctx.arc(xy[2 * i], xy[2 * i + 1], 0.5, 0, 7);
    ctx.fill();
  }
}

/** What another model chose in this moment. */
function drawAgain(ctx, ego, scale) {
  const again = planAgain();
  if (!again) return;
  ctx.strokeStyle = COLOURS.again;
  ctx.lineWidth = Math.max(0.3, 2 / scale);
  path(ctx, ego, again.xy, 0, again.xy.length / 2);
  dots(ctx, again.xy, again.dt, COLOURS.again);
}

function drawLights(ctx) {
  if (!model.route || !model.state.lights) return;
  ctx.lineWidth = 0.9;
  for (const [id, x1, y1, x2, y2] of model.route.stops) {
    const colour = LIGHTS[model.state.lights[id]];
    if (!colour) continue;
    ctx.strokeStyle = colour;
    ctx.shadowColor = colour;
    ctx.shadowBlur = 10;
    line(ctx, [[x1, y1], [x2, y2]]);
  }
  ctx.shadowBlur = 0;
}

function drawRoadUser(ctx, [, kind, x, y, yaw, length, width, speed]) {
  ctx.save();
  ctx.translate(x, y);
  ctx.rotate(yaw);
  ctx.fillStyle = KINDS[kind] || OTHER;
  if (kind === 4) {
    ctx.beginPath();
    ctx.arc(0, 0, 0.55, 0, 7);
    ctx.fill();
  } else {
    ctx.beginPath();
    ctx.roundRect(-length / 2, -width / 2, length, width, Math.min(0.5, width / 3));
    ctx.fill();
    if (kind !== 5) { // the wind-screen says where it heads
      ctx.fillStyle = "rgba(12,16,21,.55)";
      ctx.fillRect(length * 0.12, -width * 0.36, length * 0.14, width * 0.72);
    }
  }
  if (speed > 0.5) { // where it is in a second
    ctx.strokeStyle = KINDS[kind] || OTHER;
    ctx.globalAlpha = 0.55;
    ctx.lineWidth = 0.22;
    line(ctx, [[length / 2, 0], [length / 2 + speed, 0]]);
  }
  ctx.restore();
}

function drawEgo(ctx, ego) {
  ctx.save();
  ctx.translate(ego.x, ego.y);
  ctx.rotate(ego.yaw);
  ctx.fillStyle = "#eef4fa";
  ctx.beginPath();
  ctx.roundRect(-ego.length / 2, -ego.width / 2, ego.length, ego.width, 0.55);
  ctx.fill();
  ctx.fillStyle = "#1d2834";
  ctx.beginPath();
  ctx.roundRect(ego.length * 0.08, -ego.width * 0.38, ego.length * 0.17, ego.width * 0.76, 0.2);
  ctx.roundRect(-ego.length * 0.36, -ego.width * 0.34, ego.length * 0.1, ego.width * 0.68, 0.2);
  ctx.fill();
  ctx.restore();
}

function drawScale(ctx, width, height, scale) {
  const right = width - 16, left = right - 10 * scale, y = height - 18;
  ctx.strokeStyle = ctx.fillStyle = COLOURS.faint;
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.moveTo(left, y - 4); ctx.lineTo(left, y); ctx.lineTo(right, y); ctx.lineTo(right, y - 4);
  ctx.stroke();
  ctx.font = "11px system-ui, sans-serif";
  ctx.textAlign = "center";
  ctx.fillText("10 m", (left + right) / 2, y - 6);
}
