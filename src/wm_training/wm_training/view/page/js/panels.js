// Everything that is text: the bar, the figures of the plan, the gate's lights, events, the route.

import { gateLevel } from "./canvas.js";
import { fixed } from "./format.js";
import { model } from "./model.js";

const $ = (id) => document.getElementById(id);
const SILENT_S = 2; // a topic that has said nothing for so long is said to be silent
const GLOW_MS = 900; // a rule that tripped for one frame stays lit for so long
const NEAR = 0.8; // share of a limit from which on a lamp is yellow
const glowing = new Map(); // rule -> when it last tripped
const known = new Map(); // rule -> how it was last told
let longest = 0; // of the lists of rules so far

const words = (name) => name.replace(/_s$/, "").replaceAll("_", " ");
const text = (value, digits) => (value === null || value === undefined ? "–" : fixed(value, digits));

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== undefined && value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function showPanels(now) {
  const state = model.state;
  showWhere();
  showEmpty(state);
  if (!state) return;
  showMode(state);
  showCluster(state);
  showPlan(state);
  showGate(state, now);
  showEvents(state);
  showRoute(state);
  $("clock").textContent = state.t ? `${state.t.toFixed(1)} s${state.paused ? " · paused" : ""}` : "";
}

function showWhere() {
  const { episode = {}, title } = model.about;
  const town = model.town ? model.town.name : episode.town;
  const parts = title ? [["", title]] : [];
  if (town) parts.push(["town", town]);
  for (const name of ["route", "seed", "weather", "scenario"]) {
    if (episode[name] !== undefined && episode[name] !== "") parts.push([name, episode[name]]);
  }
  $("where").replaceChildren(...parts.map(([name, value]) =>
    element("span", {}, name, element("b", {}, String(value)))));
}

/** What a panel says instead of being empty. */
function showEmpty(state) {
  const role = model.about.role || "ego_vehicle";
  const age = (key) => (state && state.age[key] !== undefined ? state.age[key] : null);
  const still = state && state.paused;
  const bag = model.about.kind === "bag";
  const say = (key, topic) => {
    if (age(key) === null) return bag ? `the recording has no ${topic}` : `waiting for ${topic} …`;
    if (age(key) > SILENT_S && !still) return `silent for ${age(key).toFixed(0)} s: ${topic}`;
    return "";
  };
  $("top-empty").textContent = state && state.ego ? "" : say("odometry", `/carla/${role}/odometry`);
  $("camera-empty").textContent = say("image", `/carla/${role}/rgb_front/image`);
  $("bev-empty").textContent = state && state.ego && !model.bev ? "waiting for map and route …"
    : model.bev ? "" : say("odometry", `/carla/${role}/odometry`);
  $("plan-empty").textContent = say("plan_statistics", "/wm/plan_statistics");
  $("gate-empty").textContent = say("safety_state", "/wm/safety_state");
  $("figures").hidden = $("terms").hidden = $("plan-empty").textContent !== "";
  $("rules").hidden = $("gate-empty").textContent !== "";
}

function showMode(state) {
  const gate = state.gate;
  const silent = gate && state.age.safety_state > SILENT_S && !state.paused;
  let level = "idle", name = state.ego ? "no gate" : "waiting", reason = "";
  if (gate) {
    level = gateLevel(gate.state);
    name = gate.state.replaceAll("_", " ").toLowerCase();
    reason = gate.reason;
  }
  if (silent) [level, name, reason] = ["bad", "gate silent", `for ${state.age.safety_state} s`];
  if (state.paused) [level, name, reason] = ["idle", "paused", gate ? name : ""];
  $("mode").dataset.level = level;
  $("mode-name").textContent = name;
  $("mode-reason").textContent = reason;
}

function bar(id, value) {
  const share = 50 * Math.min(1, Math.abs(value || 0));
  $(id).style.width = `${share}%`;
  $(id).style.left = `${value > 0 ? 50 : 50 - share}%`;
}

function showCluster(state) {
  const { ego, plan } = state;
  $("cluster").hidden = !ego;
  if (!ego) return;
  $("speed").textContent = Math.abs(Math.round((ego.speed || 0) * 3.6));
  const cap = plan && plan.cap;
  $("cap").hidden = !cap;
  if (cap) $("cap").textContent = `doubt: ≤ ${Math.round(cap * 3.6)} km/h`;
  const pedal = (ego.throttle || 0) - (ego.brake || 0);
  bar("steer-bar", -(ego.steer || 0)); // left is left
  $("steer").textContent = text(ego.steer, 2);
  bar("pedal-bar", pedal);
  $("pedal-bar").style.background = pedal < 0 ? "var(--bad)" : "var(--good)";
  $("pedal").textContent = text(pedal, 2);
}

function showPlan(state) {
  const { plan, belief, wish } = state;
  const doubt = $("doubt");
  doubt.hidden = !plan;
  if (!plan) return;
  const useless = wish && wish.steer === null; // no numbers: the gate stops
  doubt.dataset.level = useless ? "bad" : ["good", "warn", "bad"][plan.doubt] || "bad";
  doubt.textContent = useless ? "not usable" : ["no doubt", "in doubt", "asks to stop"][plan.doubt] || "";
  doubt.title = useless ? wish.reason : plan.doubt_reason;
  const rows = [
    ["planned in", `${text(plan.ms, 0)} ms`, plan.missed ? "warn" : ""],
    ["futures", String(plan.candidates)],
    ["P(collision)", text(plan.collision === null ? null : 100 * plan.collision, 1) + " %",
      plan.collision > 0.2 ? "bad" : plan.collision > 0.05 ? "warn" : ""],
    ["trusted", `${text(plan.trusted_s, 1)} s`],
    ["disagreement", text(plan.disagreement, 3)],
    ["feasible", useless ? "not finite" : plan.feasible ? "yes" : "no",
      plan.feasible && !useless ? "" : "bad"],
    ["surprise", belief ? `${text(belief.surprise, 1)} nats` : "–"],
    ["frame", belief ? (belief.stop ? "stop" : belief.imagined ? "imagined" : "seen") : "–",
      belief && (belief.stop || belief.imagined) ? "warn" : ""],
  ];
  $("figures").replaceChildren(...rows.map(([name, value, level]) => element("div", {},
    element("dt", {}, name), element("dd", { "data-level": level || null }, value))));
  showTerms(plan.terms);
}

/** The largest cost terms: what the chosen plan pays, a mark at what all candidates pay on average. */
function showTerms(terms) {
  const paid = terms.filter(([, cost]) => cost !== null)
    .sort((a, b) => Math.abs(b[1]) - Math.abs(a[1])).slice(0, 4)
    .sort((a, b) => (a[0] < b[0] ? -1 : 1));
  const most = Math.max(1e-6, ...paid.map(([, cost, mean]) => Math.max(Math.abs(cost), Math.abs(mean || 0))));
  $("terms").replaceChildren(...paid.flatMap(([name, cost, mean]) => {
    const filled = element("i"), mark = element("u", { title: "mean of all futures" });
    filled.style.width = `${100 * Math.abs(cost) / most}%`;
    mark.style.left = `${Math.min(99, 100 * Math.abs(mean || 0) / most)}%`;
    return [element("span", {}, words(name)), element("div", { class: "meter" }, filled, mark),
      element("b", {}, text(cost, 2))];
  }));
}

function showGate(state, now) {
  const gate = state.gate;
  if (!gate) return;
  $("interventions").textContent = gate.interventions
    ? `${gate.interventions} intervention${gate.interventions === 1 ? "" : "s"}` : "";
  const level = gateLevel(gate.state);
  const why = gate.reason && level !== "good" && level !== "idle" ? [element("li", { "data-level": level },
    element("i", { class: "lamp" }), element("span", { class: "name" }, gate.reason))] : [];
  const rows = allRules(gate.rules).map(([name, value, limit, tripped, unit, share, acts]) => {
    if (tripped) glowing.set(name, now);
    const lit = now - (glowing.get(name) || -Infinity) < GLOW_MS;
    const level = lit ? "bad" : share !== null && share >= NEAR && acts ? "warn" : "good";
    const of = unit === "1" ? "" : ` ${unit.replace("^2", "²").replace("^3", "³")}`;
    const digits = unit === "1" && Number.isInteger(limit) && limit > 1 ? 0 : 2;
    return element("li", { "data-level": level, "data-reported": acts ? null : "",
      title: acts ? null : "reported only: the gate does nothing about it" },
      element("i", { class: "lamp" }), element("span", { class: "name" }, words(name)),
      element("span", { class: "value" }, value === null ? "none" : text(value, digits),
        element("span", {}, value === null ? "" : ` / ${text(limit, digits)}${of}`)));
  });
  $("rules").replaceChildren(...why, ...rows);
}

/** Every rule that was ever told, so that the list does not jump: some are told only while somebody
 * is near, or while there are proposals. The longest list decides their order. */
function allRules(told) {
  const now = new Map(told.map((rule) => [rule[0], rule]));
  const before = [...known];
  if (told.length > longest) known.clear();
  longest = Math.max(longest, told.length);
  for (const rule of told) known.set(rule[0], rule);
  for (const [name, rule] of before) if (!known.has(name)) known.set(name, rule);
  return [...known].map(([name, rule]) => now.get(name) || [name, null, null, false, rule[4], null, rule[6]]);
}

function showEvents(state) {
  const troubled = (state.nodes || []).filter((n) => n[1] > 0 && n[2])
    .map(([name, level, said]) => ["", level, `${name}: ${said}`]);
  const problems = Object.entries(state.problems).map(([key, said]) => ["", 2, `${key}: ${said}`]);
  const rows = [...problems, ...troubled, ...state.events.slice().reverse()].slice(0, 9);
  const level = (number) => ["good", "warn", "bad"][number] || "bad";
  if (!rows.length) {
    $("events").replaceChildren(element("li", {}, "nothing so far"));
    return;
  }
  $("events").replaceChildren(...rows.map(
    ([t, number, said]) => element("li", { "data-level": level(number), title: said },
      element("span", {}, t === "" ? "now" : `${t.toFixed(1)} s`), element("span", {}, said))));
}

function showRoute(state) {
  const route = state.route;
  if (!route) return;
  const share = Math.min(1, Math.max(0, route.s / route.length));
  $("route-bar").style.width = `${100 * share}%`;
  $("route-text").textContent = route.arrived ? `arrived after ${route.length.toFixed(0)} m`
    : `${route.s.toFixed(0)} of ${route.length.toFixed(0)} m`;
}
