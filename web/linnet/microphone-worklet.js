/* Runs beside the sound hardware: gathers its small blocks and hands them to the page. */

const CHUNK_S = 0.03;

class Chunks extends AudioWorkletProcessor {
  constructor() {
    super();
    this.chunk = new Float32Array(Math.round(CHUNK_S * sampleRate));
    this.filled = 0;
  }

  process([channels]) {
    const samples = channels.length ? channels[0].length : 0;
    for (let i = 0; i < samples; i += 1) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.chunk[this.filled] = sum / channels.length;
      this.filled += 1;
      if (this.filled === this.chunk.length) {
        this.port.postMessage(this.chunk.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone", Chunks);
