// The masks the model is given, and pictures: the front camera, what the model expects.

import { model } from "./model.js";

const CHANNELS = [ // bits of the mask in drawing order, as in wm_perception.bev
  [57, 67, 79], [170, 180, 192], [74, 134, 200], [240, 153, 74], [168, 107, 58], [242, 106, 99],
];
const EGO = { column: 32, row: 50 };
const NOTHING = [10, 13, 17];
const ORDER = [0, 1, 2, 4, 3, 5]; // later ones are on top

export function drawBev(canvas) {
  const ctx = canvas.getContext("2d");
  if (!model.bev) {
    ctx.clearRect(0, 0, canvas.width, canvas.height);
    return;
  }
  const picture = ctx.createImageData(canvas.width, canvas.height);
  for (let i = 0; i < model.bev.length; i += 1) {
    let colour = NOTHING;
    for (const bit of ORDER) if (model.bev[i] & (1 << bit)) colour = CHANNELS[bit];
    picture.data.set([...colour, 255], 4 * i);
  }
  ctx.putImageData(picture, 0, 0);
  ctx.strokeStyle = "#eef4fa"; // where the ego is; the model is not shown that
  ctx.lineWidth = 1;
  ctx.strokeRect(EGO.column - 1.5, EGO.row - 3, 3, 6);
}

const shown = new Map(); // canvas -> {part: on the screen, busy: one is being decoded}

/** Whether a picture is on the screen, if there is one. */
export const isDrawn = (canvas, part) => !part || (shown.get(canvas) || {}).part === part;

/** Draws a picture; while one is being decoded, newer ones wait, and only the last counts. */
export async function drawPicture(canvas, newest) {
  const state = shown.get(canvas) || { part: null, busy: false };
  shown.set(canvas, state);
  const part = newest();
  if (!part || state.busy) return;
  if (!part.data.byteLength) {
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    state.part = part;
    return;
  }
  state.busy = true;
  try {
    const picture = await createImageBitmap(new Blob([part.data], { type: "image/jpeg" }));
    canvas.width = picture.width;
    canvas.height = picture.height;
    canvas.getContext("2d").drawImage(picture, 0, 0);
    picture.close();
    state.part = part;
  } finally {
    state.busy = false;
  }
  if (newest() !== part) drawPicture(canvas, newest);
}
