/* Log-probabilities to tokens: the best path of a CTC model, chunk by chunk.

       log-probabilities -> the best token of each step -> repeats merged, blanks dropped -> tokens

   The same answer as linnet.decode.greedy in Python, but with the state carried along, so that a
   microphone can be read for hours. A token's confidence is its highest posterior. */

export const BLANK_ID = 0;
const SMALLEST = 2.2250738585072014e-308; // the smallest ordinary number: no confidence is 0

/**
 * @typedef {object} Spoken a token that was heard.
 * @property {number} id which token.
 * @property {number} start its first step.
 * @property {number} end one past its last step.
 * @property {number} confidence in (0, 1].
 */

export class GreedyDecoder {
  /** @param {number} tokens how many tokens a step has, the blank among them. */
  constructor(tokens) {
    this.tokens = tokens;
    this.step = 0;
    /** @type {Spoken | null} a token that the next step may go on with. */
    this.open = null;
    this.blankScore = 0;
  }

  /**
   * Read steps; give the tokens that have ended.
   *
   * @param {Float32Array} logProbs steps times tokens, one step after another.
   * @returns {Spoken[]}
   */
  push(logProbs) {
    const ended = [];
    for (let first = 0; first < logProbs.length; first += this.tokens, this.step += 1) {
      const best = indexOfLargest(logProbs, first, this.tokens);
      const score = logProbs[first + best];
      this.blankScore += score;
      if (this.open && this.open.id === best) {
        this.open.score = Math.max(this.open.score, score);
        continue;
      }
      if (this.open) ended.push(this.#ended());
      this.open = best === BLANK_ID ? null : { id: best, start: this.step, score };
    }
    return ended;
  }

  /** Say that no more steps come; give the token that was still open, if one was. */
  flush() {
    return this.open ? [this.#ended()] : [];
  }

  /** The token that is being said, as it stands now, or null. */
  get unfinished() {
    return this.open && this.#described();
  }

  #ended() {
    const token = this.#described();
    this.open = null;
    return token;
  }

  #described() {
    const { id, start, score } = this.open;
    return { id, start, end: this.step, confidence: probability(score) };
  }
}

/**
 * Read a whole recording.
 *
 * @returns {{tokens: Spoken[], confidence: number}} the confidence is the geometric mean over the
 *     tokens, and over the blanks where nothing was said.
 */
export function greedy(logProbs, tokens) {
  const decoder = new GreedyDecoder(tokens);
  const spoken = [...decoder.push(logProbs), ...decoder.flush()];
  if (!spoken.length) {
    const confidence = probability(decoder.blankScore / Math.max(decoder.step, 1));
    return { tokens: spoken, confidence };
  }
  const logs = spoken.reduce((sum, token) => sum + Math.log(token.confidence), 0);
  return { tokens: spoken, confidence: Math.exp(logs / spoken.length) };
}

/** Give the place of the largest of `count` values from `first` on: the first of equal ones. */
export function indexOfLargest(values, first, count) {
  let best = 0;
  for (let i = 1; i < count; i += 1) if (values[first + i] > values[first + best]) best = i;
  return best;
}

function probability(logProb) {
  return Math.min(Math.max(Math.exp(Math.min(logProb, 0)), SMALLEST), 1);
}
