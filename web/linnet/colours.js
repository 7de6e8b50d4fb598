/* Colours of the pictures: read from style.css, where light and dark stand. */

const SHADES = 256;
const RAMP = ["--ramp-0", "--ramp-1", "--ramp-2", "--ramp-3", "--ramp-4"];

/** How many keywords are told apart by colour. */
export const KEYWORD_COLOURS = 8;

export class Colours {
  /** @param {() => void} changed is called when the page turns light or dark. */
  constructor(changed) {
    this.#read();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#read();
      changed();
    });
  }

  #read() {
    const style = getComputedStyle(document.documentElement);
    const named = (name) => style.getPropertyValue(name).trim();
    this.ink = named("--ink");
    this.soft = named("--soft");
    this.line = named("--line");
    this.lane = named("--lane");
    this.wave = named("--wave");
    this.card = named("--card");
    this.accent = named("--accent");
    this.keys = Array.from({ length: KEYWORD_COLOURS }, (_, i) => named(`--key-${i}`));
    this.ramp = shades(RAMP.map((name) => channels(named(name))));
  }
}

/** Give red, green and blue of a colour written as #rrggbb. */
function channels(colour) {
  return [1, 3, 5].map((place) => Number.parseInt(colour.slice(place, place + 2), 16));
}

/** Give the shades between some colours as pixels: 32 bits each, in the order that ImageData has. */
function shades(stops) {
  const bytes = new Uint8ClampedArray(4 * SHADES);
  for (let shade = 0; shade < SHADES; shade += 1) {
    const place = (shade / (SHADES - 1)) * (stops.length - 1);
    const stop = Math.min(Math.floor(place), stops.length - 2);
    stops[stop].forEach((low, i) => {
      bytes[4 * shade + i] = low + (stops[stop + 1][i] - low) * (place - stop);
    });
    bytes[4 * shade + 3] = 255;
  }
  return new Uint32Array(bytes.buffer);
}
