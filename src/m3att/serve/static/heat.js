// Where the words look, drawn over the photo.

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// A spotlight: dark where the weight is small, the word's colour where it is large.
export function spotlight(map, colour) {
  const most = Math.max(...map) || 1;
  const [red, green, blue] = rgb(colour);
  return map.map((value) => {
    const share = value / most;
    return [red * share, green * share, blue * share, 0.8 * (1 - share) + 0.28 * share];
  });
}

// The colour of the word with most weight, stronger where it leads more clearly.
export function leading(maps, colours) {
  const even = 1 / maps.length;
  return maps[0].map((_, cell) => {
    let best = 0;
    for (let word = 1; word < maps.length; word++) if (maps[word][cell] > maps[best][cell]) best = word;
    const all = maps.reduce((sum, map) => sum + map[cell], 0) || 1; // what padding gets does not count here
    const lead = maps.length > 1 ? (maps[best][cell] / all - even) / (1 - even) : 1;
    return [...rgb(colours[best]), 0.15 + 0.65 * Math.max(0, lead)];
  });
}

// Draw one colour a cell, smoothly, so that the region of the image fills the canvas.
export function paint(canvas, cells, told, width, height) {
  const small = document.createElement("canvas");
  small.width = told.columns;
  small.height = told.rows;
  const pen = small.getContext("2d");
  const picture = pen.createImageData(told.columns, told.rows);
  cells.forEach(([red, green, blue, alpha], n) => picture.data.set([red, green, blue, Math.round(255 * alpha)], 4 * n));
  pen.putImageData(picture, 0, 0);
  canvas.width = Math.max(1, Math.round(width));
  canvas.height = Math.max(1, Math.round(height));
  const brush = canvas.getContext("2d");
  brush.imageSmoothingQuality = "high";
  const { left, top, width: across, height: down } = told.region;
  brush.drawImage(small, left, top, across, down, 0, 0, canvas.width, canvas.height);
}

// The cell under a point of the image, given as shares of its width and height.
export function cellAt(told, x, y) {
  const { left, top, width, height } = told.region;
  const column = Math.min(told.columns - 1, Math.max(0, Math.floor(left + x * width)));
  const row = Math.min(told.rows - 1, Math.max(0, Math.floor(top + y * height)));
  return row * told.columns + column;
}
