// The live view: connects, keeps the newest of everything, draws.

import { showAgain } from "./again.js";
import { showControls, toast, wireControls } from "./controls.js";
import { connect } from "./link.js";
import { model, take } from "./model.js";
import { showPanels } from "./panels.js";
import { drawPlots } from "./plots.js";
import { drawBev, drawPicture, isDrawn } from "./sight.js";
import { drawTimeline, wireTimeline } from "./timeline.js";
import { drawTop } from "./topview.js";

const $ = (id) => document.getElementById(id);
const arrivals = []; // ms of the updates of the last seconds
const NOBODY = ["lost", "No answer from the live view; trying again …", "bad"];
const TORN = ["lost", "Connection lost; trying again …", "bad"];
const ENDED = ["ended", "The drive has ended. This page goes on when the next one begins.", "warn"];
let away = NOBODY; // what it means that there is no connection

function banner(text, level) {
  $("banner").hidden = !text;
  $("banner").textContent = text;
  $("banner").dataset.level = level || "bad";
}

function showLink(link, text) {
  document.body.dataset.link = link;
  $("link").textContent = text;
}

function showRate(now) {
  if (model.about.kind === "bag") {
    showLink("live", "recording");
    return;
  }
  while (arrivals.length && now - arrivals[0] > 2000) arrivals.shift();
  const span = arrivals.length > 1 ? (arrivals[arrivals.length - 1] - arrivals[0]) / 1000 : 0;
  showLink("live", span > 0.3 ? `${Math.round((arrivals.length - 1) / span)} Hz` : "live");
}

const send = connect({
  open() {
    away = TORN;
    banner("");
    showLink("live", "live");
  },
  lost(ended) {
    if (ended) {
      away = ENDED;
      $("mode").dataset.level = "idle";
      $("mode-name").textContent = "ended";
      $("mode-reason").textContent = "";
    }
    const [link, text, level] = away;
    showLink("lost", link);
    banner(text, level);
  },
  said(answer) {
    if (answer.refused) toast(answer.refused, "bad");
    else if (answer.done && !["play", "pause", "step", "expect"].includes(answer.done)) toast(answer.done, "good");
  },
  parts(parts) {
    const now = performance.now();
    const names = take(parts, now);
    if (parts.state) {
      arrivals.push(now);
      showRate(now);
    }
    if (names.includes("bev")) drawBev($("bev"));
    for (const name of ["camera", "imagined", "unexpected"]) {
      if (names.includes(name)) drawPicture($(name), () => model[name]);
    }
    showControls();
    showPanels(now);
    showAgain();
    drawPlots();
    drawTimeline();
    banner(model.about.problem || "", "warn");
    document.body.dataset.updates = Number(document.body.dataset.updates || 0) + 1; // for tests
  },
});

// For tests, and for whoever looks with the browser's own tools.
window.view = { model, send, settled: () => Boolean(model.state) && isDrawn($("camera"), model.camera) };

wireControls(send);
wireTimeline(send);
new ResizeObserver(() => { drawPlots(); drawTimeline(); }).observe(document.querySelector("main"));

(function everyFrame(now) {
  drawTop($("top"), now);
  requestAnimationFrame(everyFrame);
})(performance.now());
