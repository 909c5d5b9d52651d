// What is known, and what was before it, so that things can be drawn moving smoothly.

const JUMP_M = 6;
export const PAST_S = 30;

export const model = {
  about: { kind: "live", can: {}, episode: {} },
  state: null, // newest
  before: null, // the one before it
  arrived: 0, // ms, of the newest
  interval: 100, // ms between two, smoothed
  town: null, route: null, futures: null, bev: null, bag: null,
  camera: null, imagined: null, unexpected: null, again: null,
  past: { columns: [], rows: [] },
};

/** Takes the parts of one message; returns the names of what is new. */
export function take(parts, now) {
  if (parts.about) model.about = parts.about.data;
  if (parts.town) model.town = shapes(parts.town.data);
  if (parts.route) model.route = parts.route.data;
  if (parts.bag) model.bag = parts.bag.data;
  if (parts.history) model.past = parts.history.data;
  if (parts.futures) model.futures = futures(parts.futures);
  if (parts.bev) model.bev = parts.bev.data.byteLength ? new Uint8Array(parts.bev.data) : null;
  for (const name of ["camera", "imagined", "unexpected", "again"]) {
    if (parts[name]) model[name] = parts[name];
  }
  if (parts.state) takeState(parts.state.data, now);
  return Object.keys(parts);
}

function takeState(state, now) {
  const old = model.state;
  const moved = !old || old.t !== state.t;
  if (moved) {
    const apart = old && old.ego && state.ego
      ? Math.hypot(state.ego.x - old.ego.x, state.ego.y - old.ego.y) : Infinity;
    model.before = apart < JUMP_M ? old : null;
    const interval = now - model.arrived;
    if (interval < 1000) model.interval += 0.2 * (interval - model.interval);
    model.arrived = now;
    remember(state);
  }
  model.state = state;
}

/** Adds a row to the past, as the server does. */
function remember(state) {
  const { columns, rows } = model.past;
  if (!state.ego || !columns.length) return;
  const last = rows.length ? rows[rows.length - 1][0] : -Infinity;
  if (state.t < last) rows.length = 0;
  else if (state.t === last) return;
  const row = { t: state.t, ...state.ego, ...state.belief,
    doubt: state.plan && state.plan.doubt, gate: state.gate && state.gate.state };
  rows.push(columns.map((name) => (row[name] === undefined ? null : row[name])));
  while (state.t - rows[0][0] > PAST_S) rows.shift();
}

/** One column of the past as [[t, value], ...]; gaps are null. */
export function pastOf(name) {
  const at = model.past.columns.indexOf(name);
  return at < 0 ? [] : model.past.rows.map((row) => [row[0], row[at]]);
}

function futures(part) {
  if (!part.data.byteLength) return null;
  const [count, steps] = part.about.shape;
  const values = new Float32Array(part.data);
  const path = (i) => values.subarray(i * steps * 2, (i + 1) * steps * 2);
  return { steps, dt: part.about.dt, fan: Array.from({ length: count - 1 }, (_, i) => path(i)),
    chosen: path(count - 1) };
}

/** Outlines in decimetre steps -> shapes in metres with their bounds. */
function shapes(town) {
  const outline = (steps, closed) => {
    const path = new Path2D();
    let x = 0, y = 0;
    const box = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < steps.length; i += 2) {
      x += steps[i] / 10;
      y += steps[i + 1] / 10;
      if (i === 0) path.moveTo(x, y);
      else path.lineTo(x, y);
      box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y);
      box[2] = Math.max(box[2], x); box[3] = Math.max(box[3], y);
    }
    if (closed) path.closePath();
    return { path, box };
  };
  return {
    name: town.name,
    surfaces: town.surfaces.map(([kind, ...steps]) => ({ kind, ...outline(steps, true) })),
    lines: town.lines.map(([broken, ...steps]) => ({ broken, ...outline(steps, false) })),
  };
}

const turn = (from, to) => Math.atan2(Math.sin(to - from), Math.cos(to - from));

/** The ego and the others as they are between the last two states: {ego, objects} or null. */
export function moving(now) {
  const { state, before } = model;
  if (!state || !state.ego) return null;
  const share = Math.min(1, (now - model.arrived) / Math.max(30, model.interval));
  if (!before || share >= 1) return { ego: state.ego, objects: state.objects || [] };
  const mix = (a, b) => a + (b - a) * share;
  const a = before.ego, b = state.ego;
  const ego = { ...b, x: mix(a.x, b.x), y: mix(a.y, b.y), yaw: a.yaw + turn(a.yaw, b.yaw) * share };
  const old = new Map((before.objects || []).map((row) => [row[0], row]));
  const objects = (state.objects || []).map((row) => {
    const was = old.get(row[0]);
    if (!was || Math.hypot(row[2] - was[2], row[3] - was[3]) > JUMP_M) return row;
    const yaw = was[4] + turn(was[4], row[4]) * share;
    return [row[0], row[1], mix(was[2], row[2]), mix(was[3], row[3]), yaw, ...row.slice(5)];
  });
  return { ego, objects };
}
