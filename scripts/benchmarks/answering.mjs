// A side of infer in node: onnxruntime-web, one thread. The same dialogue as answering.py.
//
//     node answering.mjs RUNTIME MODEL CLIP ANSWER     RUNTIME: web/vendor of the page
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { pathToFileURL } from "node:url";

const HEADER = 44; // bytes before the samples of a WAV file
const [runtime, model, clip, answer] = process.argv.slice(2);
const ort = await import(pathToFileURL(path.join(runtime, "ort.wasm.min.mjs")).href);
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = pathToFileURL(runtime + path.sep).href;
ort.env.logLevel = "error";

const bytes = fs.readFileSync(clip).subarray(HEADER);
const samples = new Float32Array(bytes.length / 2).map((_, i) => bytes.readInt16LE(2 * i) / 32768);
const waveform = new ort.Tensor("float32", samples, [1, samples.length]);
const session = await ort.InferenceSession.create(fs.readFileSync(model));
const first = (await session.run({ x: waveform })).logits;
console.log("ready");
write(answer, first.data, first.dims.slice(1));

for await (const line of readline.createInterface({ input: process.stdin })) {
  const took = [];
  for (let call = 0; call < Number(line); call++) {
    const started = performance.now();
    await session.run({ x: waveform });
    took.push((performance.now() - started) / 1000);
  }
  took.sort((a, b) => a - b);
  console.log(took[Math.floor(took.length / 2)]);
}
console.log(process.resourceUsage().maxRSS / 1024);

// numpy's format, version 1: a header of 64 bytes' multiple, then the values.
function write(file, values, shape) {
  const said = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")}), }`;
  const header = said.padEnd(Math.ceil((said.length + 11) / 64) * 64 - 11) + "\n";
  const start = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 0, 0]);
  start.writeUInt16LE(header.length, 8);
  const content = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  fs.writeFileSync(file, Buffer.concat([start, Buffer.from(header), content]));
}
