/* What was heard so far: rows of numbers that grow at the end and are forgotten at the beginning.

       waveform (a sample a row), log-mel (a frame), log-probabilities and scores (a step)

   Rows keep the number they have in the stream, however many were forgotten. */

export class Rows {
  /** @param {number} width numbers in a row. */
  constructor(width) {
    this.width = width;
    this.first = 0; // the first row that is kept
    this.count = 0; // rows that are kept
    this.values = new Float32Array(1024 * Math.max(width, 1));
  }

  /** One past the last row. */
  get end() {
    return this.first + this.count;
  }

  append(rows) {
    const used = this.count * this.width;
    if (used + rows.length > this.values.length) {
      const larger = new Float32Array(2 * (used + rows.length));
      larger.set(this.values.subarray(0, used));
      this.values = larger;
    }
    this.values.set(rows, used);
    if (this.width) this.count += rows.length / this.width;
  }

  /** Forget the rows before one. */
  forget(row) {
    const dropped = Math.min(Math.max(0, Math.floor(row) - this.first), this.count);
    if (!dropped) return;
    this.values.copyWithin(0, dropped * this.width, this.count * this.width);
    this.first += dropped;
    this.count -= dropped;
  }

  /** Give the kept rows from one to before another, one after another in one array. */
  slice(from, to = this.end) {
    const begin = Math.max(from, this.first) - this.first;
    const end = Math.min(to, this.end) - this.first;
    return this.values.subarray(begin * this.width, Math.max(begin, end) * this.width);
  }
}
