// The front camera, and the masks the model is given.

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

let decoding = false;
let drawn = null;

/** Whether the newest picture is on the screen. */
export const cameraIsDrawn = () => !model.camera || drawn === model.camera;

/** Draws the newest picture; while one is being decoded, newer ones wait, and only the last counts. */
export async function drawCamera(canvas) {
  const part = model.camera;
  if (!part || decoding) return;
  if (!part.data.byteLength) {
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    drawn = part;
    return;
  }
  decoding = true;
  try {
    const picture = await createImageBitmap(new Blob([part.data], { type: "image/jpeg" }));
    canvas.width = picture.width;
    canvas.height = picture.height;
    canvas.getContext("2d").drawImage(picture, 0, 0);
    picture.close();
    drawn = part;
  } finally {
    decoding = false;
  }
  if (model.camera !== part) drawCamera(canvas);
}
