/* Resampling of a stream: the microphone's rate to the model's, a chunk at a time.

       samples at 48 kHz -> windowed sinc, cut off below half the lower rate -> samples at 16 kHz

   Every output sample is a weighted sum of the input around its time (Smith, "Digital audio
   resampling", 2002). Chunks of any size give the same samples as the whole. Recordings do not come
   here: the browser resamples them while it decodes. */

const ZERO_CROSSINGS = 24; // on each side; more makes the edge of the filter steeper
const KAISER_BETA = 9; // side lobes 90 dB down
const ROLL_OFF = 0.94; // the pass band, as a part of half the lower rate

export class Resampler {
  /**
   * @param {number} from rate of what comes, in Hz.
   * @param {number} to rate of what goes, in Hz.
   */
  constructor(from, to) {
    this.from = from;
    this.to = to;
    const divisor = greatestCommonDivisor(from, to);
    this.phases = to / divisor;
    this.stride = from / divisor;
    this.filters = from === to ? [] : sincFilters(from, to, this.phases);
    this.reach = from === to ? 0 : this.filters[0].length >> 1;
    // The first outputs look at what was before the first sample: nothing.
    this.held = new Float32Array(this.reach);
    this.heldFrom = -this.reach;
    this.produced = 0;
  }

  /** Take samples; give those that can be computed by now. */
  push(samples) {
    if (!this.filters.length) return samples;
    this.held = joined(this.held, samples);
    const output = [];
    for (;;) {
      const position = this.produced * this.stride;
      const centre = Math.floor(position / this.phases);
      const first = centre - this.reach + 1 - this.heldFrom;
      const filter = this.filters[position % this.phases];
      if (first + filter.length > this.held.length) break;
      let sum = 0;
      for (let i = 0; i < filter.length; i += 1) sum += filter[i] * this.held[first + i];
      output.push(sum);
      this.produced += 1;
    }
    const next = Math.floor((this.produced * this.stride) / this.phases);
    const passed = Math.max(0, next - this.reach + 1 - this.heldFrom);
    this.held = this.held.slice(passed);
    this.heldFrom += passed;
    return Float32Array.from(output);
  }

  /** Say that no more samples come; give the rest. */
  flush() {
    return this.push(new Float32Array(this.reach));
  }
}

/** Give the filter of each position that an output sample can have between two input samples. */
function sincFilters(from, to, phases) {
  const cutOff = (ROLL_OFF * Math.min(from, to)) / from; // as a part of half the input's rate
  const reach = Math.ceil(ZERO_CROSSINGS / cutOff);
  return Array.from({ length: phases }, (_, phase) => {
    const weights = Float64Array.from({ length: 2 * reach }, (_unused, i) => {
      const distance = i - reach + 1 - phase / phases;
      return cutOff * sinc(cutOff * distance) * kaiser(distance / reach);
    });
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return weights.map((weight) => weight / sum); // a constant stays what it is
  });
}

function sinc(value) {
  return value === 0 ? 1 : Math.sin(Math.PI * value) / (Math.PI * value);
}

function kaiser(place) {
  return Math.abs(place) >= 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - place * place));
}

/** The modified Bessel function of order 0, by its series; a constant factor cancels above. */
function bessel(value) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-12; k += 1) {
    term *= (value / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a, b) {
  return b ? greatestCommonDivisor(b, a % b) : a;
}

/** Give two arrays as one. */
export function joined(first, second) {
  const both = new Float32Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
