/* A hearing: everything that was heard of one recording, or of the microphone since it was opened.

       waveform -> log-mel (shown)
       log-probabilities of the stream -> decoder  -> tokens, text
                                       -> detector -> scores, detections, near misses
       log-probabilities of the whole  -> decoder  -> tokens, text of a recording

   Keywords are spotted in a recording as in a stream, as `linnet spot` does; its text is what the
   model reads when it hears all of it, as `linnet transcribe` does. Of a microphone, what is older
   than a while is forgotten. Other keywords are looked for in what is kept, without asking the model
   again. */

import { GreedyDecoder, greedy } from "./decoder.js";
import { Rows } from "./history.js";
import { Detector } from "./keywords.js";
import { LogMel } from "./logmel.js";

/** Seconds between two detections of a keyword, at least. */
export const REFRACTORY_S = 0.2;
/** The lowest score of a near miss. */
export const MARK = 0.1;
/** Seconds that a keyword may last. */
export const LONGEST_S = 2.5;

const KEPT_S = 30; // of a microphone
const KEPT_TOKENS = 400;
const KEPT_DETECTIONS = 100;

export class Hearing {
  /**
   * @param {object} description the content of model.json.
   * @param {import("./tokenizer.js").Tokenizer} tokenizer the model's.
   * @param {import("./keywords.js").Keyword[]} keywords what to listen for.
   */
  constructor(description, tokenizer, keywords) {
    this.tokenizer = tokenizer;
    this.sampleRate = description.sample_rate;
    this.stepSamples = description.subsampling.samples;
    this.stepS = this.stepSamples / this.sampleRate;
    this.logMel = new LogMel(description.front_end);
    this.frameS = this.logMel.shiftSamples / this.sampleRate;
    this.tokens = tokenizer.tokens.length;
    this.waveform = new Rows(1);
    this.spectrogram = new Rows(this.logMel.mels);
    this.posteriors = new Rows(this.tokens);
    this.decoder = new GreedyDecoder(this.tokens);
    this.spoken = []; // in the stream
    this.read = null; // in the whole recording
    this.finished = false;
    this.#listenFor(keywords);
  }

  /** Seconds that were heard. */
  get durationS() {
    return this.waveform.end / this.sampleRate;
  }

  /** Take a whole recording. */
  pushRecording(waveform) {
    this.waveform.append(waveform);
    this.spectrogram.append(this.logMel.compute(waveform));
  }

  /** Take the log-probabilities that the model gives when it hears all of a recording at once. */
  readWhole(logProbs) {
    this.read = greedy(logProbs, this.tokens).tokens;
  }

  /** Take the next samples of a microphone. */
  pushSamples(samples) {
    this.waveform.append(samples);
    const { logMel, spectrogram } = this;
    const complete = logMel.complete(this.waveform.end);
    const origin = this.waveform.first;
    spectrogram.append(
      logMel.compute(this.waveform.slice(origin), spectrogram.end, complete, origin),
    );
    this.#forgetBefore(this.durationS - KEPT_S);
  }

  /** Take the next log-probabilities; give the detections that they make known. */
  pushLogProbs(logProbs) {
    this.posteriors.append(logProbs);
    this.spoken.push(...this.decoder.push(logProbs));
    if (this.spoken.length > 2 * KEPT_TOKENS) this.spoken.splice(0, KEPT_TOKENS);
    return this.#detected(this.detector.push(logProbs));
  }

  /** Say that nothing more comes; give the detections that were still open. */
  finish() {
    this.finished = true;
    this.spoken.push(...this.decoder.flush());
    return this.#detected(this.detector.flush());
  }

  /** Listen for other keywords, also in what was heard and is still kept. */
  replaceKeywords(keywords) {
    const before = this.detections.filter(({ end }) => end <= this.posteriors.first);
    this.#listenFor(keywords);
    this.detections.push(...before.filter((one) => keywords.some(({ text }) => text === one.keyword)));
    this.#detected(this.detector.push(this.posteriors.slice(this.posteriors.first)));
    if (this.finished) this.#detected(this.detector.flush());
  }

  /** The text, with the token that is being said. */
  get text() {
    return this.#decoded(this.allSpoken);
  }

  /** What was read in the stream; "" where that is nothing else than the text. */
  get otherText() {
    const other = this.read && this.finished ? this.#decoded(this.spoken) : this.text;
    return other === this.text ? "" : other;
  }

  /** The tokens that were heard, with the one that is being said. */
  get allSpoken() {
    if (this.read) return this.read;
    const open = this.decoder.unfinished;
    return open ? [...this.spoken, open] : this.spoken;
  }

  #decoded(tokens) {
    return this.tokenizer.decode(tokens.map(({ id }) => id));
  }

  #listenFor(keywords) {
    this.keywords = keywords;
    this.scores = new Rows(keywords.length);
    this.scores.first = this.posteriors.first;
    this.detections = [];
    this.nearMisses = [];
    this.best = keywords.map(() => 0);
    this.detectorFirst = this.posteriors.first;
    this.detector = new Detector(keywords, this.tokens, {
      refractory: this.#steps(REFRACTORY_S),
      mark: MARK,
      longest: this.#steps(LONGEST_S),
    });
  }

  /** Keep what a detector found, in steps of the whole hearing. */
  #detected({ detections, nearMisses, scores }) {
    const placed = (one) => ({
      ...one,
      start: one.start + this.detectorFirst,
      end: one.end + this.detectorFirst,
    });
    if (scores) {
      this.scores.append(scores);
      scores.forEach((score, i) => {
        const k = i % this.keywords.length;
        this.best[k] = Math.max(this.best[k], score);
      });
    }
    const found = detections.map(placed);
    this.detections = [...this.detections, ...found].slice(-KEPT_DETECTIONS);
    this.nearMisses = [...this.nearMisses, ...nearMisses.map(placed)].slice(-KEPT_DETECTIONS);
    return found;
  }

  /** Give how many steps cover some seconds. */
  #steps(seconds) {
    return Math.ceil((seconds * this.sampleRate) / this.stepSamples);
  }

  #forgetBefore(seconds) {
    this.waveform.forget(seconds * this.sampleRate);
    this.spectrogram.forget(seconds / this.frameS);
    this.posteriors.forget(seconds / this.stepS);
    this.scores.forget(seconds / this.stepS);
  }
}
