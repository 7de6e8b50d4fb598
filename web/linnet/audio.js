/* Sound: a file or the microphone becomes mono samples at the model's rate.

       file -> the browser decodes and resamples -> mean of the channels -> checked
       microphone -> worklet -> chunks at its own rate -> Resampler -> chunks at the model's rate */

import { Resampler } from "./resampler.js";

const LONGEST_S = 600; // what the pictures and the memory of a page are good for
const LONGEST_BYTES = 2 ** 28;

/**
 * Decode a recording.
 *
 * @param {File} file of any kind the browser decodes.
 * @param {number} sampleRate the model's, in Hz.
 * @returns {Promise<Float32Array>} samples in +-1.
 */
export async function decode(file, sampleRate) {
  if (!file.size) throw new Error(`${file.name}: the file is empty`);
  if (file.size > LONGEST_BYTES) throw tooLong(file.name);
  let buffer;
  try {
    // A context decodes to its own rate; nothing is rendered in it.
    const context = new OfflineAudioContext(1, 1, sampleRate);
    buffer = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(
      `${file.name}: the browser cannot decode this as sound; try WAV, FLAC, Ogg, MP3 or M4A`,
    );
  }
  if (!buffer.length) throw new Error(`${file.name}: the file holds no samples`);
  if (buffer.duration > LONGEST_S) throw tooLong(file.name);
  const waveform = mixed(buffer);
  if (!waveform.every(Number.isFinite)) throw new Error(`${file.name}: it holds NaN or infinity`);
  return waveform;
}

function tooLong(name) {
  const minutes = LONGEST_S / 60;
  return new Error(
    `${name}: this page takes up to ${minutes} minutes; cut it, or use: linnet transcribe`,
  );
}

/** Give the mean of the channels, within +-1. */
function mixed(buffer) {
  const waveform = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    const samples = buffer.getChannelData(channel);
    for (let i = 0; i < waveform.length; i += 1) {
      waveform[i] += samples[i] / buffer.numberOfChannels;
    }
  }
  return waveform.map((sample) => Math.max(-1, Math.min(1, sample)));
}

export class Microphone {
  /**
   * Open the microphone.
   *
   * @param {number} sampleRate the model's, in Hz.
   * @param {(samples: Float32Array) => void} heard is given each chunk.
   * @param {() => void} lost is called if the microphone goes away.
   */
  static async open(sampleRate, heard, lost) {
    const stream = await asked();
    const context = new AudioContext();
    await context.audioWorklet.addModule(new URL("./microphone-worklet.js", import.meta.url));
    await context.resume();
    const source = context.createMediaStreamSource(stream);
    const worklet = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
    const resampler = new Resampler(context.sampleRate, sampleRate);
    worklet.port.addEventListener("message", ({ data }) => {
      const samples = resampler.push(data);
      if (samples.length) heard(samples);
    });
    worklet.port.start();
    source.connect(worklet);
    stream.getTracks().forEach((track) => track.addEventListener("ended", lost));
    return new Microphone(stream, context);
  }

  constructor(stream, context) {
    this.stream = stream;
    this.context = context;
  }

  async close() {
    this.stream.getTracks().forEach((track) => track.stop());
    await this.context.close();
  }
}

/** Ask for the microphone, and say in words why there is none. */
async function asked() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("the browser gives the microphone only to pages at localhost or over https");
  }
  try {
    // As it sounds: what makes a call pleasant changes what the model was trained on.
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    const reasons = {
      NotAllowedError: "the browser was not allowed to use the microphone; allow it for this page",
      NotFoundError: "there is no microphone; plug one in, or open a recording",
      NotReadableError: "the microphone is in use by another program; close that first",
    };
    throw new Error(reasons[error.name] ?? `the microphone cannot be opened: ${error.message}`);
  }
}
