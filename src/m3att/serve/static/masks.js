// Masks as paths on the screen, and as files.

// COCO's compressed run lengths: lengths of runs of 0 and 1 in turn, column by column.
export function runLengths(text) {
  const lengths = [];
  let at = 0;
  while (at < text.length) {
    let value = 0, shift = 0, code;
    do {
      code = text.charCodeAt(at++) - 48;
      value |= (code & 0x1f) << shift;
      shift += 5;
    } while (code & 0x20);
    if (code & 0x10 && shift < 32) value |= -1 << shift;
    if (lengths.length > 2) value += lengths[lengths.length - 2];
    lengths.push(value);
  }
  return lengths;
}

// One byte a pixel, row by row: 255 in the mask.
export function decode(rle) {
  const [height, width] = rle.size;
  const mask = new Uint8Array(height * width);
  let at = 0, inside = false;
  for (const length of runLengths(rle.counts)) {
    if (inside) {
      for (let n = at; n < at + length; n++) mask[(n % height) * width + Math.floor(n / height)] = 255;
    }
    at += length;
    inside = !inside;
  }
  return mask;
}

const ring = (flat) => {
  let d = `M${flat[0]} ${flat[1]}`;
  for (let n = 2; n < flat.length; n += 2) d += `L${flat[n]} ${flat[n + 1]}`;
  return d + "Z";
};

export const pathOf = (polygons) => polygons.map((part) => [part.outer, ...part.holes].map(ring).join("")).join("");

function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return [canvas, canvas.getContext("2d")];
}

const png = (canvas) => new Promise((resolve) => canvas.toBlob(resolve, "image/png"));

// White in the mask, black elsewhere, at the image's own size.
export function maskFile(rle) {
  const [height, width] = rle.size;
  const [canvas, pen] = canvasOf(width, height);
  const picture = pen.createImageData(width, height);
  decode(rle).forEach((value, n) => {
    picture.data.fill(value, 4 * n, 4 * n + 3);
    picture.data[4 * n + 3] = 255;
  });
  pen.putImageData(picture, 0, 0);
  return png(canvas);
}

// The photo inside the mask, transparent elsewhere, as large as the box around the mask.
export async function cutOut(file, rle, box) {
  const [height, width] = rle.size;
  const [left, top, right, bottom] = box;
  const [canvas, pen] = canvasOf(right - left, bottom - top);
  const bitmap = await createImageBitmap(file);
  pen.drawImage(bitmap, -left, -top, width, height);
  bitmap.close();
  const picture = pen.getImageData(0, 0, canvas.width, canvas.height);
  const mask = decode(rle);
  for (let y = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++) {
      if (!mask[(y + top) * width + x + left]) picture.data[4 * (y * canvas.width + x) + 3] = 0;
    }
  }
  pen.putImageData(picture, 0, 0);
  return png(canvas);
}

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export const saveJson = (values, name) =>
  save(new Blob([JSON.stringify(values, null, 1) + "\n"], { type: "application/json" }), name);

export const fileName = (expression, end) =>
  (expression.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 40).replace(/^-|-$/g, "") || "mask") + end;
