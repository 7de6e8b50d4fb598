/* The ear: what the page calls, and the worker answers. */

export class Ear {
  constructor() {
    this.worker = new Worker(new URL("./ear-worker.js", import.meta.url), { type: "module" });
    this.waiting = new Map();
    this.calls = 0;
    this.worker.addEventListener("message", ({ data }) => {
      const { resolve, reject } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error === undefined) resolve(data);
      else reject(new Error(data.error));
    });
    this.worker.addEventListener("error", (event) => {
      const error = new Error(`the model's worker failed: ${event.message ?? "it did not start"}`);
      for (const { reject } of this.waiting.values()) reject(error);
      this.waiting.clear();
    });
  }

  /** Load the model folder at an address; give the content of its model.json. */
  async load(folder) {
    return (await this.#call({ call: "load", folder })).result;
  }

  /** Give the log-probabilities of a recording, and the milliseconds they took. */
  async hear(waveform) {
    const { result, milliseconds } = await this.#call({ call: "hear", waveform });
    return { logProbs: result, milliseconds };
  }

  /** Take the next samples of a stream; give the log-probabilities of the steps they complete. */
  async push(waveform) {
    return (await this.#call({ call: "push", waveform })).result;
  }

  /** End the stream; give the log-probabilities of its last steps. */
  async flush() {
    return (await this.#call({ call: "flush" })).result;
  }

  #call(message) {
    this.calls += 1;
    const id = this.calls;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ ...message, id });
    });
  }
}
