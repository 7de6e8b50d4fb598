/* Windows: a network that must hear a whole recording listens to a microphone.

       samples -> | left context | steps that are read | right context | -> log-probabilities
                         `- slides on by as many steps as are read

   The rule of linnet.runtime.windows in Python: of each window the steps in the middle are read; the
   first window is read from its beginning and the last to its end, so that a recording that fits
   into one window gives exactly what it gives as a whole. A causal model needs no windows (causal.js). */

/** Seconds of context before, of what is read, and of context after. */
export const WINDOW_S = { left: 1.5, read: 0.5, right: 0.75 };

export class Windows {
  /**
   * @param {(waveform: Float32Array) => Promise<Float32Array>} logProbs of a waveform.
   * @param {number} tokens how many each step has.
   * @param {number} stepSamples length of a step.
   * @param {{left: number, read: number, right: number}} lengths in samples, rounded up to steps.
   */
  constructor(logProbs, tokens, stepSamples, { left, read, right }) {
    this.logProbs = logProbs;
    this.tokens = tokens;
    this.stepSamples = stepSamples;
    [this.left, this.read, this.right] = [left, read, right].map((samples) =>
      Math.ceil(samples / stepSamples),
    );
    this.waveform = new Float32Array((this.left + this.read + this.right) * stepSamples);
    this.#begin();
  }

  /** Take some samples, any number of them; give the steps that they complete. */
  async push(waveform) {
    const found = [];
    let taken = 0;
    while (taken < waveform.length) {
      const count = Math.min(waveform.length - taken, this.waveform.length - this.samples);
      this.waveform.set(waveform.subarray(taken, taken + count), this.samples);
      this.samples += count;
      taken += count;
      if (this.samples === this.waveform.length) found.push(await this.#heard());
    }
    return concatenated(found);
  }

  /** End the stream; give the remaining steps. A new stream may follow. */
  async flush() {
    let last = new Float32Array(0);
    if (this.samples > this.done * this.stepSamples) {
      const heard = await this.logProbs(this.waveform.slice(0, this.samples));
      last = heard.slice(this.done * this.tokens);
    }
    this.#begin();
    return last;
  }

  #begin() {
    this.samples = 0; // of the window, present
    this.done = 0; // steps of the window, read already
  }

  /** Read a full window and slide on. */
  async #heard() {
    const until = this.left + this.read;
    const heard = await this.logProbs(this.waveform.slice());
    const found = heard.slice(this.done * this.tokens, until * this.tokens);
    const shift = this.read * this.stepSamples;
    this.waveform.copyWithin(0, shift);
    this.samples -= shift;
    this.done = this.left;
    return found;
  }
}

/** Give several arrays as one. */
export function concatenated(arrays) {
  const all = new Float32Array(arrays.reduce((length, array) => length + array.length, 0));
  let place = 0;
  for (const array of arrays) {
    all.set(array, place);
    place += array.length;
  }
  return all;
}
