/* A causal model listens to a stream: every sample is heard once, and nothing is heard again.

       samples -> log-mel -> whole chunks -> stream.onnx, states carried -> log-probabilities

   The rule of linnet.runtime.stream in Python. What comes out, put together, is what the whole
   recording would give, whatever the sizes of the pieces. The features are computed on this page, so
   a model is opened only if its fingerprint fits. */

import { cosines, LogMel } from "./logmel.js";
import { concatenated } from "./windows.js";

const FINGERPRINT = { state: 1, samples: 4000 };
const TYPES = { float32: Float32Array, int64: BigInt64Array };

export class CausalStream {
  /**
   * @param {object} session of stream.onnx.
   * @param {object} runtime onnxruntime-web.
   * @param {object} description the content of model.json.
   */
  constructor(session, runtime, description) {
    this.session = session;
    this.runtime = runtime;
    this.logMel = new LogMel(description.front_end);
    this.frames = description.subsampling.frames; // that make one step
    this.chunkFrames = description.stream.chunk_frames;
    this.delay = description.stream.delay_steps; // by which answers come late
    this.filling = Float32Array.from(description.stream.filling); // stands for what follows the end
    this.tokens = description.tokenizer.tokens.length;
    this.least = Math.max(this.logMel.windowSamples, this.frames * this.logMel.shiftSamples);
    this.#begin();
  }

  /** Take some samples, any number of them; give the steps that they complete. */
  async push(waveform) {
    this.waveform = concatenated([this.waveform, waveform]);
    this.samples += waveform.length;
    if (this.samples >= this.least) this.#take(this.logMel.complete(this.samples));
    return this.#answered();
  }

  /** End the stream; give the remaining steps. A new stream may follow. */
  async flush() {
    if (this.samples) {
      const missing = Math.max(0, this.least - this.samples);
      this.waveform = concatenated([this.waveform, new Float32Array(missing)]);
      this.samples += missing;
      this.#take(this.logMel.frames(this.samples));
      const steps = Math.floor(this.given / this.frames);
      // An unfilled step at the end is dropped; late answers are called for by filling.
      const kept = this.waiting.length / this.logMel.mels - (this.given % this.frames);
      const due = Math.max(0, (steps - this.done) * this.frames);
      const needed = Math.ceil(due / this.chunkFrames) * this.chunkFrames;
      const fillings = new Array(Math.max(0, needed - kept)).fill(this.filling);
      this.waiting = concatenated([this.waiting.slice(0, kept * this.logMel.mels), ...fillings]);
    }
    const last = await this.#answered();
    this.#begin();
    return last;
  }

  #begin() {
    this.waveform = new Float32Array(0); // from `origin` on
    this.origin = 0;
    this.samples = 0;
    this.waiting = new Float32Array(0); // frames that make no chunk yet
    this.given = 0; // frames
    this.done = -this.delay; // steps answered; first those before the start
    this.states = this.session.inputMetadata.slice(1).map(({ name, type, shape }) => {
      const sizes = shape.map((size) => (typeof size === "number" ? size : 1));
      const count = sizes.reduce((product, size) => product * size, 1);
      return { name, value: new this.runtime.Tensor(type, new TYPES[type](count), sizes) };
    });
  }

  /** Compute the frames up to one, and let go of the samples that no later frame needs. */
  #take(until) {
    const { logMel } = this;
    this.waiting = concatenated([
      this.waiting,
      logMel.compute(this.waveform, this.given, until, this.origin),
    ]);
    this.given = Math.max(this.given, until);
    // A frame at the end looks back at its mirror image, by at most a window.
    const needed = this.given * logMel.shiftSamples - logMel.leadSamples - logMel.windowSamples;
    const passed = Math.max(0, needed - this.origin);
    this.waveform = this.waveform.slice(passed);
    this.origin += passed;
  }

  /** Run the whole chunks that wait; leave out what precedes or follows the recording. */
  async #answered() {
    const { mels } = this.logMel;
    const chunks = Math.floor(this.waiting.length / mels / this.chunkFrames);
    const frames = chunks * this.chunkFrames;
    if (!frames) return new Float32Array(0);
    const ready = this.waiting.slice(0, frames * mels);
    this.waiting = this.waiting.slice(frames * mels);
    const feeds = { [this.session.inputNames[0]]: this.#tensor(ready, frames) };
    for (const { name, value } of this.states) feeds[name] = value;
    const outputs = await this.session.run(feeds);
    const [answer, ...states] = this.session.outputNames;
    states.forEach((name, i) => {
      this.states[i].value = outputs[name];
    });
    const first = Math.max(0, -this.done);
    const last = Math.floor(this.given / this.frames) - this.done;
    this.done += frames / this.frames;
    return outputs[answer].data.slice(first * this.tokens, Math.max(first, last) * this.tokens);
  }

  #tensor(values, frames) {
    return new this.runtime.Tensor("float32", values, [1, frames, this.logMel.mels]);
  }
}

/** Refuse a model that was trained on other features than this page computes. */
export function checkFeatures({ front_end: settings, fingerprint }) {
  const logMel = new LogMel(settings);
  const values = logMel.compute(fixedWaveform());
  const expected = fingerprint.cepstra;
  const rows = cosines(expected[0].length, settings.mels);
  let difference = 0;
  fingerprint.frames.forEach((frame, i) => {
    rows.forEach((row, k) => {
      const first = frame * settings.mels;
      const value = row.reduce((sum, weight, mel) => sum + weight * values[first + mel], 0);
      difference = Math.max(difference, Math.abs(value - expected[i][k]));
    });
  });
  if (!(difference <= fingerprint.tolerance)) {
    throw new Error(
      `the features computed here differ from the model's by ${difference.toPrecision(3)} (at ` +
        `most ${fingerprint.tolerance} is allowed); export the model again with this Linnet`,
    );
  }
}

/** Give the waveform that every fingerprint is taken of: noise that integers of 31 bits make. */
function fixedWaveform() {
  let state = BigInt(FINGERPRINT.state);
  return Float32Array.from({ length: FINGERPRINT.samples }, () => {
    state = (1103515245n * state + 12345n) % 2n ** 31n;
    return Number(state >> 15n) / 32768 - 1;
  });
}
