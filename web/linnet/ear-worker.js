/* The worker: the model runs here, so that the page never waits for it.

       {call, id, ...} -> load | hear | push | flush, one after another -> {id, result} or {id, error}

   `hear` takes a whole recording; `push` and `flush` a stream, which a causal model hears as it comes
   and any other through a window that slides. */

import { Model } from "./model.js";

const RUNTIME = new URL("../vendor/", import.meta.url).href;

let model;
let stream;

const calls = {
  async load({ folder }) {
    model = await Model.load(folder, await runtime());
    stream = model.stream();
    const { description } = model;
    const rate = description.sample_rate;
    await model.logProbs(new Float32Array(rate)); // the first run prepares what the others use
    return description;
  },
  hear: ({ waveform }) => model.logProbs(waveform),
  push: ({ waveform }) => stream.push(waveform),
  flush: () => stream.flush(),
};

async function runtime() {
  let ort;
  try {
    ort = await import(`${RUNTIME}ort.wasm.min.mjs`);
  } catch {
    throw new Error(
      "onnxruntime-web, which runs the model in the browser, is not beside this page; fetch it " +
        "with scripts/vendor-web, or from an installed package with: linnet demo --fetch-runtime",
    );
  }
  ort.env.wasm.wasmPaths = RUNTIME;
  // One thread: models of this size wait for each other longer than they gain.
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error"; // its warnings are about its own optimisations
  return ort;
}

let previous = Promise.resolve();

self.addEventListener("message", ({ data }) => {
  previous = previous.then(async () => {
    const started = performance.now();
    try {
      const result = await calls[data.call](data);
      self.postMessage({ id: data.id, result, milliseconds: performance.now() - started });
    } catch (error) {
      self.postMessage({ id: data.id, error: error.message ?? String(error) });
    }
  });
});
