// A canvas as sharp as the screen, in CSS pixels.

/** Fits the canvas to its place; returns {ctx, width, height} in CSS pixels, cleared. */
export function fresh(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  const wide = Math.round(width * ratio), high = Math.round(height * ratio);
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return { ctx, width, height, ratio };
}

export const COLOURS = {
  ground: "#10161c", panel: "#131920", road: "#252d37", walk: "#1a2129", line: "#56616f", route: "#35618f",
  plan: "#7fe0ff", again: "#d8f25f", surprise: "#b79bf0", good: "#56cf9a", warn: "#f0b445", bad: "#f26a63",
  text: "#dbe2ea", soft: "#8c99a8", faint: "#5b6775", edge: "#212a34",
};

// Cheap to dear; told apart by brightness too.
const CHEAP = [79, 209, 181], MIDDLE = [217, 164, 65], DEAR = [194, 86, 111];

/** Colour of a future by its rank, 0 cheapest, 1 dearest. */
export function costColour(rank, alpha) {
  const [from, to, share] = rank < 0.5 ? [CHEAP, MIDDLE, rank * 2] : [MIDDLE, DEAR, rank * 2 - 1];
  const mix = from.map((value, i) => Math.round(value + (to[i] - value) * share));
  return `rgba(${mix.join(",")},${alpha})`;
}

/** What a state of the gate looks like: good, warn, bad or idle. */
export function gateLevel(name) {
  const levels = { NOMINAL: "good", COMFORT_STOP: "warn", HOLD: "warn", EMERGENCY_STOP: "bad" };
  return levels[name] || "idle";
}

/** Stretches of equal values: [first, last, value], both inclusive. */
export function runs(values) {
  const found = [];
  values.forEach((value, i) => {
    const run = found[found.length - 1];
    if (run && run[2] === value) run[1] = i;
    else found.push([i, i, value]);
  });
  return found;
}
