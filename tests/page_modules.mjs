// Asks the page's modules what Python asks: one JSON object on standard input, the answer on standard
// output. Run by tests/test_web_modules.py with node; web/linnet is the first argument.

import { pathToFileURL } from "node:url";
import { readFileSync } from "node:fs";

const modules = pathToFileURL(`${process.argv[2]}/`).href;
const [decoder, keywords, logmel, resampler, tokenizers, windows, hearings] = await Promise.all(
  ["decoder", "keywords", "logmel", "resampler", "tokenizer", "windows", "hearing"].map(
    (name) => import(`${modules}${name}.js`),
  ),
);

/** Cut values into pieces of the given lengths and the rest. */
function* pieces(values, lengths) {
  let place = 0;
  for (const length of lengths) {
    yield values.subarray(place, place + length);
    place += length;
  }
  yield values.subarray(place);
}

const floats = (values) => Float32Array.from(values.flat(Infinity), (one) => one ?? -Infinity);

const questions = {
  greedy({ log_probs, chunks }) {
    const tokens = log_probs[0].length;
    const whole = decoder.greedy(floats(log_probs), tokens);
    const stream = new decoder.GreedyDecoder(tokens);
    const parts = pieces(floats(log_probs), chunks.map((steps) => steps * tokens));
    const chunked = [...parts].flatMap((part) => stream.push(part));
    return { ...whole, chunked: [...chunked, ...stream.flush()] };
  },
  detect({ log_probs, words, chunks, refractory, mark, longest }) {
    const tokens = log_probs[0].length;
    const rules = { refractory, mark, longest };
    const whole = keywords.detect(floats(log_probs), words, tokens, rules);
    const scorer = new keywords.Scorer(words.map(({ ids }) => ids), tokens, longest);
    const { starts } = scorer.push(floats(log_probs));
    const detector = new keywords.Detector(words, tokens, rules);
    const chunked = [...pieces(floats(log_probs), chunks.map((steps) => steps * tokens))]
      .map((part) => detector.push(part))
      .concat(detector.flush());
    return {
      scores: Array.from(whole.scores),
      starts: Array.from(starts),
      detections: whole.detections,
      near_misses: whole.nearMisses,
      chunked: chunked.flatMap(({ detections }) => detections),
      chunked_misses: chunked.flatMap(({ nearMisses }) => nearMisses),
      chunked_scores: chunked.flatMap(({ scores }) => Array.from(scores ?? [])),
    };
  },
  spell({ description, texts }) {
    const tokenizer = new tokenizers.Tokenizer(description);
    return texts.map((text) => {
      const normal = tokenizers.normalise(text);
      try {
        const ids = tokenizer.encode(text);
        return { normal, ids, text: tokenizer.decode(ids) };
      } catch (error) {
        return { normal, error: error.message };
      }
    });
  },
  log_mel({ settings, waveform, chunks }) {
    const logMel = new logmel.LogMel(settings);
    const samples = floats(waveform);
    const stream = [];
    let known = 0;
    let done = 0;
    for (const part of pieces(samples, chunks)) {
      known += part.length;
      const origin = Math.max(0, done * logMel.shiftSamples - logMel.windowSamples);
      const complete = logMel.complete(known);
      stream.push(...logMel.compute(samples.slice(origin, known), done, complete, origin));
      done = Math.max(done, complete);
    }
    return { whole: Array.from(logMel.compute(samples)), stream };
  },
  resample({ waveform, from, to, chunks }) {
    const stream = new resampler.Resampler(from, to);
    const parts = [...pieces(floats(waveform), chunks)].flatMap((part) => Array.from(stream.push(part)));
    const whole = new resampler.Resampler(from, to);
    const samples = [...whole.push(floats(waveform)), ...whole.flush()];
    return { whole: samples, stream: [...parts, ...stream.flush()] };
  },
  async windows({ waveform, chunks, step_samples, lengths }) {
    const asked = [];
    // A network that gives each step's sum, and the length of the window it stands in.
    const logProbs = async (samples) => {
      asked.push(samples.length);
      const steps = Math.ceil(samples.length / step_samples);
      const found = new Float32Array(2 * steps);
      for (let i = 0; i < samples.length; i += 1) {
        found[2 * Math.floor(i / step_samples)] += samples[i];
      }
      for (let step = 0; step < steps; step += 1) found[2 * step + 1] = samples.length;
      return found;
    };
    const stream = new windows.Windows(logProbs, 2, step_samples, lengths);
    const found = [];
    for (const part of pieces(floats(waveform), chunks)) found.push(...(await stream.push(part)));
    found.push(...(await stream.flush()));
    return { found, asked };
  },
  rules: () => ({
    refractory_s: hearings.REFRACTORY_S,
    mark: hearings.MARK,
    longest_s: hearings.LONGEST_S,
    window_s: windows.WINDOW_S,
  }),
};

/** Run a model folder in onnxruntime-web, here without a browser. */
questions.hear = async ({ folder, vendor, waveform, chunks }) => {
  const ort = await import(pathToFileURL(`${vendor}/ort.wasm.min.mjs`).href);
  ort.env.wasm.wasmBinary = readFileSync(`${vendor}/ort-wasm-simd-threaded.wasm`);
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  const { Model } = await import(`${modules}model.js`);
  const read = async (address) => Uint8Array.from(readFileSync(address)).buffer;
  const model = await Model.load(`${folder}/`, ort, read);
  const stream = model.stream();
  const samples = floats(waveform);
  const streamed = [];
  for (const lengths of chunks) {
    const found = [];
    for (const part of pieces(samples, lengths)) found.push(...(await stream.push(part)));
    streamed.push([...found, ...(await stream.flush())]);
  }
  const whole = Array.from(await model.logProbs(samples));
  return { kind: stream.constructor.name, whole, streamed };
};

const { question, ...given } = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(await questions[question](given)));
