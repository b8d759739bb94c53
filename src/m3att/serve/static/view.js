// The photo with its masks, as one SVG picture in the image's own pixels.

import { shape, show } from "./dom.js";

const LARGEST = 2048; // pixels of the longer side on the screen; masks and files keep the photo's own
const svg = document.getElementById("picture");
const tip = document.getElementById("tip");
const heat = document.getElementById("heat");
const photo = shape("image", { x: 0, y: 0, preserveAspectRatio: "none" });
const layer = shape("g");
let size = { width: 1, height: 1 };
let shown = { results: [] };
let choose = () => {};
let tell = null; // while the words are shown: what to say about a point

// The bitmap is upright already; the file itself may not be.
export async function setPhoto(bitmap) {
  const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
  URL.revokeObjectURL(photo.getAttribute("href") || "");
  size = { width: bitmap.width, height: bitmap.height };
  for (const [key, value] of Object.entries({ ...size, href: URL.createObjectURL(blob) })) photo.setAttribute(key, value);
  svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
  svg.replaceChildren(photo, layer);
}

const visible = () => (shown.bare || shown.attending ? [] : shown.results.filter((one) => one.on && one.d));

export function drawMasks(page, onChoose) {
  shown = page;
  choose = onChoose;
  const side = Math.max(size.width, size.height);
  layer.replaceChildren(...visible().map((one) => {
    const number = page.results.indexOf(one) + 1;
    const [x, y] = top(one.data.polygons);
    const label = shape("text", {
      x, y: y + side / 24, "text-anchor": "middle", "font-size": side / 34, fill: "#fff", stroke: "#000",
      "stroke-width": side / 200, "paint-order": "stroke", "font-weight": 700, "pointer-events": "none",
    });
    label.textContent = number;
    return shape("g", {}, [
      shape("path", { d: one.d, class: "casing" }),
      shape("path", { d: one.d, class: "mask", "fill-rule": "evenodd", fill: one.colour, stroke: one.colour }),
      label,
    ]);
  }));
  markChosen();
  const names = visible().map((one) => one.data.expression).join("; ");
  svg.setAttribute("aria-label", names ? `The image with the masks of: ${names}` : "The image without masks");
}

// One mask stands out while it or its row is pointed at.
export function markChosen() {
  const list = visible();
  const some = list.includes(shown.chosen);
  list.forEach((one, n) => {
    layer.children[n].classList.toggle("chosen", one === shown.chosen);
    layer.children[n].classList.toggle("dimmed", some && one !== shown.chosen);
  });
}

// The middle of the uppermost edge of the longest outline, below which the number of the mask stands.
function top(polygons) {
  const ring = polygons.reduce((best, part) => (part.outer.length > best.length ? part.outer : best), []);
  const y = ring.reduce((least, value, n) => (n % 2 ? Math.min(least, value) : least), Infinity);
  const across = ring.filter((_, n) => n % 2 === 0 && ring[n + 1] === y);
  return [(Math.min(...across) + Math.max(...across)) / 2, y];
}

function pointOf(event) {
  const matrix = svg.getScreenCTM();
  return matrix ? new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse()) : null;
}

function explain(event) {
  const point = pointOf(event);
  const inside = point && point.x >= 0 && point.y >= 0 && point.x < size.width && point.y < size.height;
  let lines = [];
  if (inside && tell) {
    lines = tell(point.x / size.width, point.y / size.height);
  } else if (inside) {
    const list = visible();
    const hit = list.filter((_, n) => layer.children[n].querySelector(".mask").isPointInFill(point));
    lines = hit.map((one) => `${shown.results.indexOf(one) + 1}. ${one.data.expression} (${one.data.score.toFixed(2)})`);
    choose(hit.length ? hit.reduce((best, one) => (one.data.area < best.data.area ? one : best)) : null);
  }
  tip.textContent = "";
  lines.forEach((line, n) => tip.append(...(n ? [document.createElement("br")] : []), line));
  show(tip, lines.length > 0);
  const frame = svg.parentElement.getBoundingClientRect();
  const x = event.clientX - frame.left, y = event.clientY - frame.top;
  tip.style.left = `${Math.max(4, Math.min(x + 14, frame.width - tip.offsetWidth - 4))}px`;
  tip.style.top = `${Math.max(4, Math.min(y + 14, frame.height - tip.offsetHeight - 4))}px`;
}

svg.addEventListener("pointermove", explain);
svg.addEventListener("pointerdown", explain);
svg.addEventListener("pointerleave", (event) => {
  if (event.pointerType === "touch") return; // a finger always leaves; what it touched stays marked
  show(tip, false);
  if (!tell) choose(null);
});

// Lay the heat map exactly over the photo, which the browser may have centred in its frame.
export function placeHeat() {
  const matrix = svg.getScreenCTM();
  if (!matrix || heat.hidden) return null;
  const frame = svg.parentElement.getBoundingClientRect();
  const width = matrix.a * size.width, height = matrix.d * size.height;
  Object.assign(heat.style, { left: `${matrix.e - frame.left}px`, top: `${matrix.f - frame.top}px`, width: `${width}px`, height: `${height}px` });
  return { width, height };
}

export function tellPoints(telling) {
  tell = telling;
  show(tip, false);
}
