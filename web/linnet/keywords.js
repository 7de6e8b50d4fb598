/* Keywords: what was asked for, how sure the model is of it at each step, and when it was said.

       log-probabilities -> emission -> paths through each keyword -> scores, starts   (Scorer)
       scores -> peaks within the refractory time -> detections, near misses           (Detector)

   The same numbers as linnet.keywords in Python, chunk by chunk. The score of a keyword at a step
   compares the best CTC path that spells it and ends there in its last token, starting anywhere,
   with all paths over the same steps, whose probabilities sum to 1:

       score = exp(log P(best path that spells it) / number of tokens)

   Sums are whole numbers, as in Python: exact, so that equal paths are equal. Of equal paths that
   counts which starts later. */

import { BLANK_ID } from "./decoder.js";
import { normalise } from "./tokenizer.js";

const UNITS = 2 ** 26; // of a sum, a nat
const LOWEST_NATS = -256; // a token that is less probable counts as impossible
const LONGEST = 2 ** 19; // steps that a keyword may last
const ROUNDING = 1e-3; // nats by which single precision may put a probability above 1
const NEVER = -Infinity;

/**
 * @typedef {object} Keyword
 * @property {string} text normalised, as it is spelt.
 * @property {number[]} ids its tokens.
 * @property {number} threshold the lowest score of a detection, in (0, 1].
 *
 * @typedef {object} Detection
 * @property {string} keyword its text.
 * @property {number} start the first step of its first token.
 * @property {number} end one past the step at which it was complete.
 * @property {number} score in (0, 1].
 * @property {number} decided the step at which it was known.
 */

/** Spell a keyword; an error says why it cannot be. */
export function keyword(text, tokenizer, threshold) {
  const spelt = normalise(text);
  if (!spelt) throw new Error("a keyword needs letters: type a word or a phrase");
  if (!(threshold > 0 && threshold <= 1)) {
    throw new Error(`the threshold of “${spelt}” is ${threshold}; expected more than 0, at most 1`);
  }
  return { text: spelt, ids: tokenizer.encode(spelt), threshold };
}

/** The best paths that spell one keyword, by the token they stand at. */
class Paths {
  constructor(ids) {
    this.ids = ids;
    // Sum and start of the best path that ends in each token, and in a blank after it.
    this.tokenSums = new Float64Array(ids.length).fill(NEVER);
    this.tokenStarts = new Float64Array(ids.length);
    this.blankSums = new Float64Array(ids.length).fill(NEVER);
    this.blankStarts = new Float64Array(ids.length);
  }

  /** Read one step. From the last token to the first, for each looks at the one before it. */
  read(emission, step) {
    const { ids, tokenSums, tokenStarts, blankSums, blankStarts } = this;
    const blank = emission[BLANK_ID];
    for (let i = ids.length - 1; i >= 0; i -= 1) {
      const inToken = [tokenSums[i], tokenStarts[i]];
      const atEnd = better(inToken, [blankSums[i], blankStarts[i]]);
      const [sum, start] = better(inToken, this.#entering(i, step));
      [tokenSums[i], tokenStarts[i]] = [sum + emission[ids[i]], start];
      [blankSums[i], blankStarts[i]] = [atEnd[0] + blank, atEnd[1]];
    }
  }

  /** Give the best path that may enter token `i` now: at the first one, a path that begins here. */
  #entering(i, step) {
    if (i === 0) return [0, step];
    const inBlank = [this.blankSums[i - 1], this.blankStarts[i - 1]];
    // An equal token before it must have been left through a blank.
    if (this.ids[i] === this.ids[i - 1]) return inBlank;
    return better([this.tokenSums[i - 1], this.tokenStarts[i - 1]], inBlank);
  }

  /** Drop the paths that began before a step. */
  forget(step) {
    for (const [sums, starts] of [
      [this.tokenSums, this.tokenStarts],
      [this.blankSums, this.blankStarts],
    ]) {
      for (let i = 0; i < sums.length; i += 1) if (starts[i] < step) sums[i] = NEVER;
    }
  }
}

function better(first, second) {
  if (first[0] !== second[0]) return first[0] > second[0] ? first : second;
  return first[1] >= second[1] ? first : second;
}

export class Scorer {
  /**
   * @param {number[][]} keywords the token ids of each.
   * @param {number} tokens how many tokens a step has, the blank among them.
   * @param {number} longest the most steps that a keyword may last.
   */
  constructor(keywords, tokens, longest = LONGEST) {
    this.paths = keywords.map((ids) => new Paths(ids));
    this.tokens = tokens;
    this.longest = longest;
    this.steps = 0;
    this.emission = new Float64Array(tokens);
  }

  /**
   * Read some more steps.
   *
   * @param {Float32Array} logProbs steps times tokens.
   * @returns {{scores: Float64Array, starts: Int32Array}} steps times keywords; a score is 0 and
   *     a start -1 where the stream is still too short to spell the keyword.
   */
  push(logProbs) {
    const steps = logProbs.length / this.tokens;
    const scores = new Float64Array(steps * this.paths.length);
    const starts = new Int32Array(scores.length).fill(-1);
    for (let step = 0; step < steps; step += 1, this.steps += 1) {
      this.#emit(logProbs, step * this.tokens);
      const expired = this.steps % this.longest === 0;
      this.paths.forEach((path, k) => {
        if (expired) path.forget(this.steps - this.longest);
        path.read(this.emission, this.steps);
        const last = path.ids.length - 1;
        const start = path.tokenStarts[last];
        if (path.tokenSums[last] === NEVER || this.steps - start >= this.longest) return;
        scores[step * this.paths.length + k] = Math.exp(
          path.tokenSums[last] / UNITS / path.ids.length,
        );
        starts[step * this.paths.length + k] = start;
      });
    }
    return { scores, starts };
  }

  /** Say what each token costs at a step: nothing, if no other is possible. */
  #emit(logProbs, first) {
    let best = -Infinity;
    for (let i = 0; i < this.tokens; i += 1) best = Math.max(best, logProbs[first + i]);
    if (!Number.isFinite(best)) throw new Error("the model gave NaN: its weights are broken");
    if (best > ROUNDING) throw new Error("the model gave logits; expected log-probabilities");
    for (let i = 0; i < this.tokens; i += 1) {
      const nats = Math.min(Math.max(logProbs[first + i], LOWEST_NATS), 0);
      this.emission[i] = rounded(nats * UNITS);
    }
  }
}

/** Round to a whole number, halves to the even one. */
function rounded(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/* A peak is a score that none within the refractory time around it exceeds, and that none before
   it in that time equals. At or over the threshold it is a detection, below it, but over the mark,
   a near miss. It is known when the refractory time is over. */
export class Detector {
  /**
   * @param {Keyword[]} keywords what to listen for.
   * @param {number} tokens how many tokens a step has.
   * @param {{refractory: number, mark: number, longest?: number}} rules the refractory time in
   *     steps, the lowest score of a near miss, the most steps that a keyword may last.
   */
  constructor(keywords, tokens, { refractory, mark, longest }) {
    this.keywords = keywords;
    this.refractory = refractory;
    this.lowest = keywords.map(({ threshold }) => Math.min(threshold, mark));
    this.scorer = new Scorer(
      keywords.map(({ ids }) => ids),
      tokens,
      longest,
    );
    // Scores from two refractory times ago on: what came before the stream is nothing.
    this.history = keywords.map(() => new Array(2 * refractory).fill(0));
    this.starts = keywords.map(() => new Array(2 * refractory).fill(-1));
    this.first = -2 * refractory;
  }

  /**
   * Read some more steps.
   *
   * @returns {{detections: Detection[], nearMisses: Detection[], scores: Float64Array}} what they
   *     make known, in that order, and the scores of these steps (steps times keywords).
   */
  push(logProbs) {
    const { scores, starts } = this.scorer.push(logProbs);
    const count = this.keywords.length;
    const found = { detections: [], nearMisses: [], scores };
    for (let i = 0; i < scores.length; i += count) {
      this.#step((k) => [scores[i + k], starts[i + k]], found);
    }
    return found;
  }

  /** Say that no more steps come; give what only later steps could have outdone. */
  flush() {
    const found = { detections: [], nearMisses: [] };
    const last = this.scorer.steps - 1;
    for (let i = 0; i < this.refractory; i += 1) this.#step(() => [0, -1], found, last);
    return found;
  }

  /** Add one step's scores and see which peaks they make known. */
  #step(given, found, last = Infinity) {
    const known = [];
    this.keywords.forEach((_, k) => {
      const [score, start] = given(k);
      this.history[k].push(score);
      this.starts[k].push(start);
      const ripe = this.history[k].length - 1 - this.refractory;
      if (this.#isPeak(k, ripe)) known.push([k, ripe]);
    });
    for (const [k, place] of known) this.#tell(k, place, last, found);
    this.history.forEach((scores) => scores.shift());
    this.starts.forEach((starts) => starts.shift());
    this.first += 1;
  }

  #isPeak(k, place) {
    const scores = this.history[k];
    const score = scores[place];
    if (!(score >= this.lowest[k] && score > 0)) return false;
    const begin = Math.max(0, place - this.refractory);
    for (let i = begin; i < place; i += 1) if (scores[i] >= score) return false;
    const end = Math.min(scores.length - 1, place + this.refractory);
    for (let i = place + 1; i <= end; i += 1) if (scores[i] > score) return false;
    return true;
  }

  #tell(k, place, last, found) {
    const score = this.history[k][place];
    const end = this.first + place + 1;
    const decided = end - 1 + this.refractory;
    const { text, threshold } = this.keywords[k];
    const detection = {
      keyword: text,
      start: this.starts[k][place],
      end,
      score,
      decided: Math.min(decided, last),
    };
    (score >= threshold ? found.detections : found.nearMisses).push(detection);
  }
}

/** Give what was detected in a whole recording. */
export function detect(logProbs, keywords, tokens, rules) {
  const detector = new Detector(keywords, tokens, rules);
  const heard = detector.push(logProbs);
  const rest = detector.flush();
  return {
    detections: [...heard.detections, ...rest.detections],
    nearMisses: [...heard.nearMisses, ...rest.nearMisses],
    scores: heard.scores,
  };
}
