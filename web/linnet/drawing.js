/* Drawing: a lane of the picture, and what goes into it. Times in seconds, places in CSS pixels. */

const FONT = "system-ui, sans-serif";
const NARROW = 520;
const TICK_PX = 70; // ticks of the axis are at least so far apart
const TICKS_S = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120];

/**
 * Clear a canvas and give what draws on it: labels on the left, time to the right of them.
 *
 * @param {HTMLCanvasElement} canvas as wide as its style makes it.
 * @param {number} height in CSS pixels.
 * @param {{fromS: number, toS: number}} view the seconds that are shown.
 * @param {import("./colours.js").Colours} colours of what is drawn.
 */
export function lane(canvas, height, view, colours) {
  const context = canvas.getContext("2d");
  const ratio = Math.min(globalThis.devicePixelRatio || 1, 2);
  const total = canvas.clientWidth;
  const pixels = [Math.round(total * ratio), Math.round(height * ratio)];
  if (canvas.width !== pixels[0] || canvas.height !== pixels[1]) {
    [canvas.width, canvas.height] = pixels;
    canvas.style.height = `${height}px`;
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, total, height);
  context.font = `12px ${FONT}`;
  context.textBaseline = "middle";
  const { left, width } = lane.axis(total);
  context.fillStyle = colours.lane;
  context.fillRect(left, 0, width, height);
  const x = (seconds) => left + ((seconds - view.fromS) / (view.toS - view.fromS)) * width;
  return { context, left, width, x, colours, label, rowLabel, band, curve };
}

/** Give where the axis of time lies in a lane of some width. */
lane.axis = (total) => {
  const left = total < NARROW ? 46 : 72;
  return { left, width: Math.max(total - left, 1) };
};

/** Write a label around a place, or beside it where it would leave the lane. */
function label(text, place, y) {
  const { context, left, width } = this;
  const half = context.measureText(text).width / 2;
  context.textAlign = "center";
  context.fillText(text, Math.min(Math.max(place, left + half + 2), left + width - half - 2), y);
}

/** Write a label beside a row. */
function rowLabel(text, y) {
  const { context, left, colours } = this;
  context.textAlign = "right";
  context.fillStyle = colours.soft;
  let shown = text;
  while (shown.length > 1 && context.measureText(shown).width > left - 8) shown = shown.slice(0, -1);
  context.fillText(shown === text ? text : `${shown.slice(0, -1)}…`, left - 6, y);
}

/** Mark a stretch of time in a row. */
function band(fromS, toS, { top, height }, colour) {
  const { context, left, x } = this;
  const from = Math.max(x(fromS), left);
  const to = Math.max(x(toS), from + 3);
  if (x(toS) < left) return;
  context.fillStyle = colour;
  context.globalAlpha = 0.3;
  context.fillRect(from, top, to - from, height);
  context.globalAlpha = 1;
  context.fillRect(from, top, to - from, 3);
}

/** Draw one column of a table of scores as a curve over a dashed threshold. */
function curve(scores, { width, k, first, stepS }, { top, height, threshold }, colour) {
  const { context, x, left, colours } = this;
  const y = (score) => top + height * (1 - score);
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  context.strokeRect(left - 0.5, top + height + 0.5, this.width + 1, 0);
  context.strokeStyle = colours.soft;
  context.setLineDash([4, 4]);
  context.beginPath();
  context.moveTo(left, y(threshold));
  context.lineTo(left + this.width, y(threshold));
  context.stroke();
  context.setLineDash([]);
  context.strokeStyle = colour;
  context.lineWidth = 1.75;
  context.lineJoin = "round";
  context.beginPath();
  for (let i = 0; i * width < scores.length; i += 1) {
    // A score stands at the end of its step.
    context.lineTo(Math.max(x((first + i + 1) * stepS), left), y(scores[i * width + k]));
  }
  context.stroke();
}

/**
 * Draw a table of values as shades.
 *
 * @param {object} area from `lane`.
 * @param {object} table `shade(column, row)` gives 0 to 1; the rest says where it goes.
 */
export function heat(area, { columns, rows, shade, fromS, columnS, top, height, ramp, smooth }) {
  if (!columns || !rows) return;
  const { context, left, width, x } = area;
  // No more columns than there are pixels: of several the highest is shown.
  const bin = Math.max(1, Math.floor(columns / (2 * width)));
  const binned = Math.ceil(columns / bin);
  const image = new ImageData(binned, rows);
  const pixels = new Uint32Array(image.data.buffer);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < binned; column += 1) {
      let highest = 0;
      for (let i = column * bin; i < Math.min((column + 1) * bin, columns); i += 1) {
        highest = Math.max(highest, shade(i, row));
      }
      pixels[row * binned + column] = ramp[Math.min(ramp.length - 1, highest * ramp.length) | 0];
    }
  }
  scratch.width = binned;
  scratch.height = rows;
  scratch.getContext("2d").putImageData(image, 0, 0);
  const begin = x(fromS);
  const end = x(fromS + binned * bin * columnS);
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.imageSmoothingEnabled = smooth;
  context.drawImage(scratch, begin, top, end - begin, height);
  context.restore();
}

const scratch = globalThis.document?.createElement("canvas");

/** Write the times below a lane. */
export function timeAxis(area, top, { fromS, toS }, colours) {
  const { context, left, width, x } = area;
  const perPixel = (toS - fromS) / width;
  const step = TICKS_S.find((seconds) => seconds / perPixel >= TICK_PX) ?? TICKS_S.at(-1);
  const decimals = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  context.fillStyle = colours.card;
  context.fillRect(left, top, width, 24);
  context.fillStyle = colours.soft;
  context.font = `11px ${FONT}`;
  for (let tick = Math.max(0, Math.ceil(fromS / step)); tick * step <= toS; tick += 1) {
    const place = x(tick * step);
    context.fillRect(place, top, 1, 4);
    area.label(`${(tick * step).toFixed(decimals)} s`, place, top + 12);
  }
  context.font = `12px ${FONT}`;
}
