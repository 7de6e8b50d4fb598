/* The model: a folder beside the page, checked before it is used.

       model.json -> is it Linnet's, of this version? -> graphs -> sha256 as model.json says -> sessions

   What a graph needs beside itself (rate, tokens, time of a step) stands in model.json, because the
   browser's runtime cannot read a graph's metadata. The same checks as linnet.runtime in Python. */

import { CausalStream, checkFeatures } from "./causal.js";
import { WINDOW_S, Windows } from "./windows.js";

const FORMAT = "linnet";
const VERSION = 1;
const GRAPH = "model.onnx";
const STREAM_GRAPH = "stream.onnx";

/** A model that can be asked for log-probabilities. Runs wherever onnxruntime-web does. */
export class Model {
  constructor(description, runtime, session, causalSession) {
    this.description = description;
    this.runtime = runtime;
    this.session = session;
    this.causalSession = causalSession;
    this.tokens = description.tokenizer.tokens.length;
  }

  /**
   * Load a model folder.
   *
   * @param {string} folder its address, with a slash at the end.
   * @param {object} runtime onnxruntime-web.
   * @param {(address: string) => Promise<ArrayBuffer>} read gives a file.
   */
  static async load(folder, runtime, read = fetched) {
    const description = described(await read(`${folder}model.json`));
    const session = async (name) => {
      const graph = await read(`${folder}${name}`);
      await verify(graph, name, description);
      return runtime.InferenceSession.create(graph, { executionProviders: ["wasm"] });
    };
    if (!description.stream) return new Model(description, runtime, await session(GRAPH), null);
    checkFeatures(description);
    return new Model(description, runtime, await session(GRAPH), await session(STREAM_GRAPH));
  }

  /** Give the beginning of a stream: samples in, log-probabilities out, by `push` and `flush`. */
  stream() {
    const { description, runtime, causalSession } = this;
    if (causalSession) return new CausalStream(causalSession, runtime, description);
    const lengths = Object.fromEntries(
      Object.entries(WINDOW_S).map(([part, seconds]) => [
        part,
        Math.round(seconds * description.sample_rate),
      ]),
    );
    const logProbs = (waveform) => this.logProbs(waveform);
    return new Windows(logProbs, this.tokens, description.subsampling.samples, lengths);
  }

  /**
   * Give the log-probabilities of a waveform.
   *
   * @param {Float32Array} waveform samples in +-1 at the model's rate.
   * @returns {Promise<Float32Array>} steps times tokens.
   */
  async logProbs(waveform) {
    const input = new this.runtime.Tensor("float32", waveform, [1, waveform.length]);
    const outputs = await this.session.run({ [this.session.inputNames[0]]: input });
    return outputs[this.session.outputNames[0]].data;
  }
}

async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) {
    const name = address.split("/").at(-1);
    throw new Error(
      `the model folder beside this page lacks ${name} (status ${answer.status}); ` +
        "show a folder that “linnet export” made: linnet demo DIR",
    );
  }
  return answer.arrayBuffer();
}

/** Parse model.json and see that it is one this page reads. */
function described(content) {
  let description;
  try {
    description = JSON.parse(new TextDecoder().decode(content));
  } catch (error) {
    throw new Error(`model.json is damaged (${error.message}); export the model again`);
  }
  if (description?.format !== FORMAT) {
    throw new Error("model.json does not describe a Linnet model");
  }
  if (description.version !== VERSION) {
    throw new Error(
      `the model has format version ${description.version}, this page reads ${VERSION}; ` +
        "export it again with this Linnet",
    );
  }
  return description;
}

/** Refuse a graph that is not the one that model.json means. */
async function verify(graph, name, description) {
  if (!globalThis.crypto?.subtle) {
    throw new Error(
      "the browser lets a page check files (and hear the microphone) only at http://localhost " +
        "or over https; open it there",
    );
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", graph));
  const actual = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const expected = String(description.files?.[name]?.sha256);
  if (actual !== expected) {
    throw new Error(
      `${name} is not the file that was exported: model.json says sha256 ` +
        `${expected.slice(0, 12)}…, it has ${actual.slice(0, 12)}…; copy the folder again`,
    );
  }
}
