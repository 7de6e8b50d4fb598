/* The picture: four lanes over one axis of time.

       waveform and tokens | spectrogram | token posteriors | keyword scores

   A recording is seen whole; of the microphone the last seconds are. Canvases are drawn from the rows
   of a hearing and keep nothing of it. */

import { heat, lane, timeAxis } from "./drawing.js";

const LIVE_S = 10;
const HEIGHTS = { waveform: 84, spectrogram: 132, axis: 20 };
const TOKEN_ROWS = 40; // more tokens than these cannot be told apart
const FEW_KEYWORDS = 4;
const RANGE_NATS = 10; // of the spectrogram, down from its loudest
const QUIETEST_PEAK = -3; // so that a silent room is not shown as loud
const LOUD_QUANTILE = 0.995;

export class Picture {
  /**
   * @param {HTMLElement} root holds a canvas a lane.
   * @param {import("./colours.js").Colours} colours of the lanes.
   */
  constructor(root, colours) {
    this.root = root;
    this.colours = colours;
    this.canvases = Object.fromEntries(
      Array.from(root.querySelectorAll("[data-lane]"), (section) => [
        section.dataset.lane,
        section.querySelector("canvas"),
      ]),
    );
    this.playhead = root.querySelector("#playhead");
    this.view = { fromS: 0, toS: 1 };
  }

  /**
   * Draw a hearing.
   *
   * @param {import("./hearing.js").Hearing} hearing what was heard.
   * @param {number[]} keywordColours which colour each keyword has.
   * @param {boolean} live whether the last seconds are shown, or all.
   */
  draw(hearing, keywordColours, live) {
    const toS = live ? Math.max(hearing.durationS, LIVE_S) : hearing.durationS;
    this.view = { fromS: live ? toS - LIVE_S : 0, toS: Math.max(toS, 1e-3) };
    this.#waveform(hearing);
    this.#spectrogram(hearing);
    this.#posteriors(hearing);
    this.#scores(hearing, keywordColours);
    this.#describe(hearing);
  }

  /** Show where the player is; null hides it. */
  point(seconds) {
    this.playhead.hidden = seconds === null;
    if (seconds === null) return;
    const { left, width } = this.#axis();
    const { fromS, toS } = this.view;
    this.playhead.style.transform = `translateX(${left + ((seconds - fromS) / (toS - fromS)) * width}px)`;
  }

  /** Give the time at a place of the screen. */
  secondsAt(clientX) {
    const { left, width } = this.#axis();
    const place = (clientX - this.root.getBoundingClientRect().left - left) / width;
    const { fromS, toS } = this.view;
    return Math.min(Math.max(fromS + place * (toS - fromS), fromS), toS);
  }

  #axis() {
    return lane.axis(this.canvases.waveform.clientWidth);
  }

  #waveform({ waveform, sampleRate, allSpoken, stepS, tokenizer }) {
    const { colours, view } = this;
    const axisTop = HEIGHTS.waveform;
    const area = lane(this.canvases.waveform, axisTop + HEIGHTS.axis, view, colours);
    const { context, left, width, x } = area;
    for (const { id, start, end, confidence } of allSpoken) {
      const from = Math.max(x(start * stepS), left);
      const to = x(end * stepS);
      if (to < left) continue;
      context.globalAlpha = 0.12 + 0.14 * confidence;
      context.fillStyle = colours.accent;
      context.fillRect(from, 0, Math.max(to - from, 2), axisTop);
      context.globalAlpha = 1;
      context.fillStyle = colours.ink;
      if (!tokenizer.isSpace(id)) area.label(tokenizer.shown(id), (from + to) / 2, 14);
    }
    const samplesPerPixel = ((view.toS - view.fromS) * sampleRate) / width;
    const loudest = peak(waveform.slice(view.fromS * sampleRate)) || 1;
    const middle = axisTop / 2 + 8;
    context.fillStyle = colours.wave;
    for (let pixel = 0; pixel < width; pixel += 1) {
      const first = Math.floor(view.fromS * sampleRate + pixel * samplesPerPixel);
      const last = Math.max(first + 1, Math.floor(first + samplesPerPixel));
      if (last <= waveform.first || first >= waveform.end) continue;
      const height = (peak(waveform.slice(first, last)) / loudest) * (axisTop / 2 - 12);
      context.fillRect(left + pixel, middle - height, 1, Math.max(2 * height, 1));
    }
    timeAxis(area, axisTop, view, colours);
  }

  #spectrogram({ spectrogram, frameS, logMel }) {
    const { colours, view } = this;
    const area = lane(this.canvases.spectrogram, HEIGHTS.spectrogram, view, colours);
    const { mels } = logMel;
    const from = Math.max(spectrogram.first, Math.floor(view.fromS / frameS));
    const values = spectrogram.slice(from);
    const top = Math.max(quantile(values, LOUD_QUANTILE), QUIETEST_PEAK);
    heat(area, {
      columns: values.length / mels,
      rows: mels,
      shade: (column, row) => (values[column * mels + mels - 1 - row] - top) / RANGE_NATS + 1,
      fromS: from * frameS,
      columnS: frameS,
      top: 0,
      height: HEIGHTS.spectrogram,
      ramp: colours.ramp,
      smooth: true,
    });
    area.rowLabel("high", 10);
    area.rowLabel("low", HEIGHTS.spectrogram - 8);
  }

  #posteriors({ posteriors, stepS, tokens, tokenizer }) {
    const { colours, view } = this;
    const from = Math.max(posteriors.first, Math.floor(view.fromS / stepS));
    const values = posteriors.slice(from);
    const shown = likeliest(values, tokens);
    const rowHeight = shown.length > FEW_KEYWORDS * 4 ? 13 : 17;
    const height = shown.length * rowHeight;
    const area = lane(this.canvases.posteriors, height, view, colours);
    heat(area, {
      columns: values.length / tokens,
      rows: shown.length,
      // The root makes visible what is improbable but not impossible.
      shade: (column, row) => Math.exp(values[column * tokens + shown[row]] / 2),
      fromS: from * stepS,
      columnS: stepS,
      top: 0,
      height,
      ramp: colours.ramp,
      smooth: false,
    });
    shown.forEach((id, row) => area.rowLabel(tokenizer.shown(id), (row + 0.5) * rowHeight));
  }

  #scores({ scores, keywords, detections, stepS }, keywordColours) {
    const { colours, view } = this;
    const rowHeight = keywords.length > FEW_KEYWORDS ? 30 : 48;
    const height = Math.max(keywords.length, 1) * rowHeight;
    const area = lane(this.canvases.scores, height + HEIGHTS.axis, view, colours);
    keywords.forEach(({ text, threshold }, k) => {
      const row = { top: k * rowHeight + 4, height: rowHeight - 6, threshold };
      const colour = colours.keys[keywordColours[k]];
      for (const { keyword, start, end } of detections) {
        if (keyword === text) area.band(start * stepS, end * stepS, row, colour);
      }
      const first = Math.max(scores.first, Math.floor(view.fromS / stepS));
      area.curve(scores.slice(first), { width: keywords.length, k, first, stepS }, row, colour);
      area.rowLabel(text, row.top + row.height / 2);
    });
    timeAxis(area, height, view, colours);
  }

  /** Say in words what the pictures show. */
  #describe({ durationS, detections, text, keywords }) {
    const labels = {
      waveform: `Waveform of ${durationS.toFixed(1)} seconds; tokens heard: ${text || "none"}`,
      spectrogram: `Spectrogram of ${durationS.toFixed(1)} seconds`,
      posteriors: "How probable each token is over time",
      scores: `Scores of ${keywords.length} keywords over time; ${detections.length} detections`,
    };
    for (const [name, label] of Object.entries(labels)) {
      const canvas = this.canvases[name];
      if (canvas.getAttribute("aria-label") !== label) canvas.setAttribute("aria-label", label);
    }
  }
}

function peak(samples) {
  let highest = 0;
  for (let i = 0; i < samples.length; i += 1) highest = Math.max(highest, Math.abs(samples[i]));
  return highest;
}

/** Give a quantile of many values, from some of them. */
function quantile(values, share) {
  const stride = Math.max(1, Math.floor(values.length / 4000));
  const some = new Float32Array(Math.ceil(values.length / stride));
  for (let i = 0; i < some.length; i += 1) some[i] = values[i * stride];
  some.sort();
  return some.length ? some[Math.floor(share * (some.length - 1))] : 0;
}

/** Give the tokens to show, in their order: all but the blank, or the most probable ones. */
function likeliest(logProbs, tokens) {
  const ids = Array.from({ length: tokens - 1 }, (_, i) => i + 1);
  if (ids.length <= TOKEN_ROWS) return ids;
  const highest = new Float32Array(tokens).fill(-Infinity);
  logProbs.forEach((value, i) => {
    highest[i % tokens] = Math.max(highest[i % tokens], value);
  });
  const best = ids.sort((a, b) => highest[b] - highest[a]).slice(0, TOKEN_ROWS);
  return best.sort((a, b) => a - b);
}
