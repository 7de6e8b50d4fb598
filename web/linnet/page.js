/* The page: what the user does, and what is shown of it.

       model/ -> Ear (a worker) | file, microphone -> samples -> Ear -> log-probabilities -> Hearing
       Hearing -> text, detections, pictures

   Everything that can go wrong ends in one line at the top of the page. */

import { decode, Microphone } from "./audio.js";
import { Colours } from "./colours.js";
import { Ear } from "./ear.js";
import { Hearing } from "./hearing.js";
import { KeywordList } from "./keyword-list.js";
import { Results } from "./results.js";
import { Tokenizer } from "./tokenizer.js";

const PIECE_S = 30; // of a recording, between two looks at it
const FRAME_MS = 50; // between two pictures of the microphone
const IDLE_SHARE = 4; // for each second that drawing took, so many without
const MODEL = new URL("../model/", import.meta.url).href;

const named = (id) => document.getElementById(id);

class Page {
  constructor() {
    this.ear = new Ear();
    this.keywords = new KeywordList(named("keywords"), () => this.#keywordsChanged());
    this.colours = new Colours(() => this.show());
    this.results = new Results(named("results"), this.colours, named("audio"));
    this.hearing = null;
    this.microphone = null;
    this.previous = Promise.resolve();
    this.#listen();
  }

  async start() {
    this.description = await this.ear.load(MODEL);
    this.tokenizer = new Tokenizer(this.description.tokenizer);
    this.keywords.start(this.tokenizer, this.description);
    named("model-facts").textContent = facts(this.description);
    named("file").disabled = false;
    named("microphone").disabled = false;
    this.#state("ready", "Ready");
  }

  /** Hear a recording: all of it for the text, then piece by piece for the keywords. */
  async open(file) {
    await this.#closeMicrophone();
    this.#state("busy", `Listening to ${file.name} …`);
    const waveform = await decode(file, this.description.sample_rate);
    const { logProbs, milliseconds } = await this.ear.hear(waveform);
    this.#begin();
    this.hearing.pushRecording(waveform);
    this.hearing.readWhole(logProbs);
    this.#play(file);
    await this.#spot(waveform);
    const seconds = this.hearing.durationS;
    named("timing").textContent =
      `${seconds.toFixed(1)} s heard in ${milliseconds.toFixed(0)} ms, ` +
      `${(seconds / (milliseconds / 1000)).toFixed(0)} times as fast as speech`;
    this.#state("ready", "Ready");
    this.show();
  }

  async #spot(waveform) {
    const piece = PIECE_S * this.description.sample_rate;
    for (let start = 0; start < waveform.length; start += piece) {
      this.hearing.pushLogProbs(await this.ear.push(waveform.subarray(start, start + piece)));
      if (start + piece < waveform.length) {
        this.#state("busy", `Spotting, ${Math.round((100 * start) / waveform.length)} %`);
        this.show();
      }
    }
    this.hearing.pushLogProbs(await this.ear.flush());
    this.hearing.finish();
  }

  /** Open or close the microphone. */
  async toggleMicrophone() {
    if (this.microphone) {
      await this.#closeMicrophone();
      this.#state("ready", "Ready");
      return;
    }
    this.#state("busy", "Opening the microphone …");
    this.#play(null);
    this.microphone = await Microphone.open(
      this.description.sample_rate,
      (samples) => this.#take(samples),
      () => this.#inTurn(() => this.toggleMicrophone()),
    );
    this.#begin();
    this.#showMicrophone(true);
    this.#state("live", "Listening");
    this.#animate();
  }

  show() {
    if (!this.hearing) return;
    const live = this.hearing.isLive;
    this.results.show(this.hearing, this.keywords.keywords, live);
    this.keywords.showBest(this.hearing.best);
  }

  fail(error) {
    named("error").textContent = error.message;
    named("error").hidden = false;
    const usable = Boolean(this.description);
    this.#state(usable ? "ready" : "failed", usable ? "Ready" : "The model cannot be used");
  }

  #begin() {
    named("error").hidden = true;
    this.hearing = new Hearing(this.description, this.tokenizer, this.keywords.keywords);
    this.hearing.isLive = Boolean(this.microphone);
    this.results.begin();
  }

  /** Take samples of the microphone. */
  #take(samples) {
    const { hearing } = this;
    if (!this.microphone || !hearing?.isLive) return;
    hearing.pushSamples(samples);
    named("level-meter").value = Math.sqrt(Math.max(...samples.map(Math.abs)));
    guarded(async () => {
      const logProbs = await this.ear.push(samples);
      if (logProbs.length) hearing.pushLogProbs(logProbs);
    });
  }

  async #closeMicrophone() {
    const { microphone, hearing } = this;
    if (!microphone) return;
    this.microphone = null;
    this.#showMicrophone(false);
    await microphone.close();
    hearing.pushLogProbs(await this.ear.flush());
    hearing.finish();
    this.show();
  }

  #showMicrophone(open) {
    named("microphone").setAttribute("aria-pressed", String(open));
    named("microphone-label").textContent = open ? "Stop" : "Listen";
    named("level").hidden = !open;
    if (open) named("timing").textContent = "live, from the microphone";
  }

  /** Draw as long as the microphone is open, and leave most of the time to the model. */
  #animate() {
    if (!this.microphone) return;
    const started = performance.now();
    this.show();
    const took = performance.now() - started;
    setTimeout(
      () => requestAnimationFrame(() => this.#animate()),
      Math.max(FRAME_MS, took * IDLE_SHARE),
    );
  }

  #play(file) {
    const audio = named("audio");
    if (audio.src) URL.revokeObjectURL(audio.src);
    named("player").hidden = !file;
    if (!file) {
      audio.removeAttribute("src");
      this.results.picture.point(null);
      return;
    }
    audio.src = URL.createObjectURL(file);
    named("file-name").textContent = file.name;
  }

  #keywordsChanged() {
    if (this.hearing) this.hearing.replaceKeywords(this.keywords.keywords);
    this.show();
  }

  #state(state, text) {
    named("status").dataset.state = state;
    named("status").textContent = text;
  }

  /** Do one thing after another, whatever is dropped and pressed meanwhile. */
  #inTurn(action) {
    this.previous = this.previous.then(() => guarded(action));
  }

  #listen() {
    named("file").addEventListener("change", ({ target }) => {
      const [file] = target.files;
      target.value = ""; // the same file may be opened again
      if (file) this.#inTurn(() => this.open(file));
    });
    named("microphone").addEventListener("click", () =>
      this.#inTurn(() => this.toggleMicrophone()),
    );
    addEventListener("resize", () => this.show());
    this.#listenForDrops();
  }

  #listenForDrops() {
    const target = named("drop-here");
    const holdsFile = (event) => event.dataTransfer?.types.includes("Files") && this.tokenizer;
    addEventListener("dragover", (event) => {
      if (!holdsFile(event)) return;
      event.preventDefault();
      target.hidden = false;
    });
    addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) target.hidden = true;
    });
    addEventListener("drop", (event) => {
      target.hidden = true;
      if (!holdsFile(event)) return;
      event.preventDefault();
      const [file] = event.dataTransfer.files;
      if (file) this.#inTurn(() => this.open(file));
    });
  }
}

/** Say in a line what a model is. */
function facts({ network, files, tokenizer, sample_rate: rate }) {
  const kinds = (network.networks ?? [network]).map(({ layers, hidden, bidirectional, cell }) => {
    const direction = bidirectional ? "bidirectional " : "";
    return `${layers} × ${hidden} ${direction}${cell.toUpperCase()}`;
  });
  const size = (files["model.onnx"].bytes / 1e6).toFixed(1);
  return (
    `${kinds.join(" and ")}, ` +
    `${tokenizer.tokens.length - 1} ${tokenizer.kind}, ${rate / 1000} kHz, ${size} MB, checked`
  );
}

const page = new Page();

/** Do something; show what went wrong. */
async function guarded(action) {
  try {
    await action();
  } catch (error) {
    page.fail(error);
  }
}

guarded(() => page.start());
