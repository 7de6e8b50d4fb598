/* The spectrogram: the log-mel that the model's own front-end computes.

       waveform -> frames -> DC removed, pre-emphasis, Povey window -> DFT -> mel filters -> logarithm

   Kaldi's definition with `snip_edges=False`, as in linnet.frontend in Python, with the numbers that
   model.json gives. The graph of a whole recording takes the waveform and computes its own; that of
   a stream is fed with this. */

// Kaldi's floor under the power: the smallest difference of two 32-bit numbers near 1.
const POWER_FLOOR = 2 ** -23;
export const LOG_FLOOR = Math.log(POWER_FLOOR);

export class LogMel {
  /** @param {object} settings the `front_end` of model.json. */
  constructor(settings) {
    this.mels = settings.mels;
    this.preemphasis = settings.preemphasis;
    this.windowSamples = Math.round((settings.window_ms * settings.sample_rate) / 1000);
    this.shiftSamples = Math.round((settings.shift_ms * settings.sample_rate) / 1000);
    // Frame k is centred on sample (k + 1/2) * shift: the first frames start before the clip.
    this.leadSamples = (this.windowSamples - this.shiftSamples) >> 1;
    this.window = poveyWindow(this.windowSamples);
    this.transform = new Transform(2 ** Math.ceil(Math.log2(this.windowSamples)));
    this.filters = melFilters(settings, this.transform.size / 2 + 1);
    this.frame = new Float64Array(this.windowSamples);
  }

  /** Give how many frames a clip of so many samples makes. */
  frames(samples) {
    return Math.floor((samples + (this.shiftSamples >> 1)) / this.shiftSamples);
  }

  /** Give how many frames of a stream are complete once so many samples have come. */
  complete(samples) {
    const reach = samples + this.leadSamples - this.windowSamples;
    return Math.max(0, Math.floor(reach / this.shiftSamples) + 1);
  }

  /**
   * Give the log-mel of some frames.
   *
   * @param {Float32Array} waveform samples in +-1 at the model's rate.
   * @param {number} from the first frame.
   * @param {number} to one past the last frame.
   * @param {number} origin which sample of the stream comes first in `waveform`.
   * @returns {Float32Array} frames times mels, one frame after another.
   */
  compute(waveform, from = 0, to = this.frames(waveform.length), origin = 0) {
    const frames = Math.max(0, to - from);
    const logMel = new Float32Array(frames * this.mels);
    for (let i = 0; i < frames; i += 1) {
      this.#read(waveform, (from + i) * this.shiftSamples - this.leadSamples - origin);
      const power = this.transform.power(this.frame);
      this.filters.forEach(({ first, weights }, mel) => {
        let sum = 0;
        for (let k = 0; k < weights.length; k += 1) sum += weights[k] * power[first + k];
        logMel[i * this.mels + mel] = Math.log(Math.max(sum, POWER_FLOOR));
      });
    }
    return logMel;
  }

  /** Take one frame; beyond its ends a clip is continued by its mirror image. */
  #read(waveform, start) {
    const { frame, window } = this;
    let mean = 0;
    for (let i = 0; i < frame.length; i += 1) {
      frame[i] = waveform[mirrored(start + i, waveform.length)];
      mean += frame[i] / frame.length;
    }
    for (let i = frame.length - 1; i > 0; i -= 1) {
      const difference = frame[i] - mean - this.preemphasis * (frame[i - 1] - mean);
      frame[i] = difference * window[i];
    }
    frame[0] = 0; // where the window is 0
  }
}

function mirrored(index, length) {
  let place = index;
  while (place < 0 || place >= length) place = place < 0 ? -1 - place : 2 * length - 1 - place;
  return place;
}

/** Kaldi's Povey window: a Hann window to the power 0.85. */
function poveyWindow(samples) {
  return Float64Array.from(
    { length: samples },
    (_, i) => (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (samples - 1))) ** 0.85,
  );
}

/** Kaldi's mel filters: triangles with corners equally spaced on the mel scale. */
function melFilters(settings, bins) {
  const mel = (hz) => 1127 * Math.log1p(hz / 700);
  const low = mel(settings.low_hz);
  const step = (mel(settings.high_hz) - low) / (settings.mels + 1);
  const points = Array.from({ length: bins }, (_, bin) =>
    mel((bin * settings.sample_rate) / 2 / (bins - 1)),
  );
  return Array.from({ length: settings.mels }, (_, i) => {
    const left = low + i * step;
    const weights = points.map((point) =>
      Math.max(0, Math.min((point - left) / step, (left + 2 * step - point) / step)),
    );
    const first = weights.findIndex((weight) => weight > 0);
    if (first < 0) return { first: 0, weights: [] };
    const last = weights.findLastIndex((weight) => weight > 0);
    return { first, weights: weights.slice(first, last + 1) };
  });
}

/** Give the first rows of the orthonormal DCT-II, which makes cepstra of a log-mel. */
export function cosines(cepstra, mels) {
  return Array.from({ length: cepstra }, (_, k) =>
    Array.from(
      { length: mels },
      (_unused, n) =>
        Math.sqrt((k ? 2 : 1) / mels) * Math.cos((Math.PI / mels) * (n + 0.5) * k),
    ),
  );
}

/** The power spectrum of real frames: the radix-2 transform of Cooley and Tukey (1965). */
class Transform {
  constructor(size) {
    this.size = size;
    this.real = new Float64Array(size);
    this.imaginary = new Float64Array(size);
    this.cosines = Float64Array.from({ length: size / 2 }, (_, i) =>
      Math.cos((2 * Math.PI * i) / size),
    );
    this.sines = Float64Array.from({ length: size / 2 }, (_, i) =>
      Math.sin((2 * Math.PI * i) / size),
    );
    this.order = new Uint32Array(size);
    for (let i = 1; i < size; i += 1) {
      this.order[i] = (this.order[i >> 1] >> 1) | (i & 1 ? size >> 1 : 0);
    }
    this.spectrum = new Float64Array(size / 2 + 1);
  }

  /** Give the power at each frequency; the array is used again by the next call. */
  power(frame) {
    const { real, imaginary, size } = this;
    imaginary.fill(0);
    for (let i = 0; i < size; i += 1) real[this.order[i]] = i < frame.length ? frame[i] : 0;
    for (let half = 1; half < size; half *= 2) this.#combine(half);
    for (let i = 0; i <= size / 2; i += 1) {
      this.spectrum[i] = real[i] * real[i] + imaginary[i] * imaginary[i];
    }
    return this.spectrum;
  }

  #combine(half) {
    const { real, imaginary, size } = this;
    const stride = size / (2 * half);
    for (let start = 0; start < size; start += 2 * half) {
      for (let k = 0; k < half; k += 1) {
        const cosine = this.cosines[k * stride];
        const sine = this.sines[k * stride];
        const upper = start + k;
        const lower = upper + half;
        const turned = real[lower] * cosine + imaginary[lower] * sine;
        const turnedImaginary = imaginary[lower] * cosine - real[lower] * sine;
        real[lower] = real[upper] - turned;
        imaginary[lower] = imaginary[upper] - turnedImaginary;
        real[upper] += turned;
        imaginary[upper] += turnedImaginary;
      }
    }
  }
}
