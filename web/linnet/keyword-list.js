/* The list of keywords: typed, with a threshold each, spelt with the model's tokens at once. */

import { KEYWORD_COLOURS } from "./colours.js";
import { keyword } from "./keywords.js";

const DEFAULT_THRESHOLD = 0.5;
const MOST_AT_START = 12;
const MOST_SUGGESTIONS = 24;

export class KeywordList {
  /**
   * @param {HTMLElement} root the card.
   * @param {() => void} changed is called when keywords come, go, or change their threshold.
   */
  constructor(root, changed) {
    this.root = root;
    this.changed = changed;
    /** @type {(import("./keywords.js").Keyword & {colour: number})[]} */
    this.keywords = [];
    this.rows = root.querySelector("#keyword-rows");
    this.input = root.querySelector("#new-keyword");
    this.problem = root.querySelector("#keyword-error");
    root.querySelector("#add").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#addTyped();
    });
  }

  /** Begin with what a model brings: its calibrated keywords, or the words it knows. */
  start(tokenizer, description) {
    this.tokenizer = tokenizer;
    this.calibrated = new Map(
      Object.entries(description.keywords ?? {}).map(([text, given]) => [
        text,
        given.threshold,
      ]),
    );
    this.root.querySelector("#add-button").disabled = false;
    const words = tokenizer.wholeWords();
    const first = this.calibrated.size ? [...this.calibrated.keys()] : words;
    if (first.length <= MOST_AT_START) first.forEach((text) => this.add(text));
    this.#suggest(words);
  }

  /** Add a keyword; an error says why it cannot be. */
  add(text, threshold = undefined) {
    const made = keyword(text, this.tokenizer, threshold ?? DEFAULT_THRESHOLD);
    if (this.keywords.some((known) => known.text === made.text)) {
      throw new Error(`“${made.text}” is in the list already`);
    }
    made.threshold = threshold ?? this.calibrated.get(made.text) ?? made.threshold;
    const used = this.keywords.map(({ colour }) => colour % KEYWORD_COLOURS);
    const free = Array.from({ length: KEYWORD_COLOURS }, (_, i) => i).find((i) => !used.includes(i));
    made.colour = free ?? this.keywords.length % KEYWORD_COLOURS;
    this.keywords.push(made);
    this.rows.append(this.#row(made));
    this.#suggest(this.suggested ?? []);
  }

  /** Show the highest score of each keyword so far. */
  showBest(best) {
    this.keywords.forEach((_, k) => {
      const row = this.rows.children[k];
      const score = best[k] ?? 0;
      row.style.setProperty("--best", score.toFixed(3));
      row.querySelector(".best").title = `highest score so far: ${score.toFixed(2)}`;
    });
  }

  #addTyped() {
    const [, text, threshold] = /^(.*?)(?::\s*([^:]*))?$/u.exec(this.input.value);
    try {
      this.add(text, threshold === undefined ? undefined : Number.parseFloat(threshold));
      this.input.value = "";
      this.problem.textContent = "";
      this.changed();
    } catch (error) {
      this.problem.textContent = error.message;
    }
    this.input.focus();
  }

  #row(made) {
    const row = document.createElement("li");
    row.className = "keyword";
    row.style.setProperty("--colour", `var(--key-${made.colour})`);
    const name = element("span", { className: "name", textContent: made.text });
    const slider = element("input", {
      type: "range",
      min: "0.01",
      max: "1",
      step: "0.01",
      value: String(made.threshold),
      ariaLabel: `Threshold of ${made.text}`,
    });
    const shown = element("output", { textContent: made.threshold.toFixed(2) });
    slider.addEventListener("input", () => {
      made.threshold = Number(slider.value);
      shown.textContent = made.threshold.toFixed(2);
      this.changed();
    });
    const remove = element("button", {
      type: "button",
      className: "remove",
      textContent: "×",
      ariaLabel: `Remove ${made.text}`,
    });
    remove.addEventListener("click", () => this.#remove(made, row));
    const threshold = element("span", { className: "threshold" });
    threshold.append(element("span", { className: "best" }), slider);
    row.append(name, threshold, shown, remove);
    return row;
  }

  #remove(made, row) {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    this.keywords.splice(this.keywords.indexOf(made), 1);
    row.remove();
    // Who works by keyboard goes on where they were.
    (next?.querySelector(".remove") ?? this.input).focus();
    this.#suggest(this.suggested);
    this.changed();
  }

  /** Offer the words of a small vocabulary that are not in the list. */
  #suggest(words) {
    this.suggested = words;
    const listed = new Set(this.keywords.map(({ text }) => text));
    const offered = words.filter((word) => !listed.has(word)).slice(0, MOST_SUGGESTIONS);
    const buttons = offered.map((word) => {
      const button = element("button", { type: "button", textContent: `+ ${word}` });
      button.addEventListener("click", () => {
        this.add(word);
        this.changed();
        this.input.focus();
      });
      const item = document.createElement("li");
      item.append(button);
      return item;
    });
    const suggestions = this.root.querySelector("#suggestions");
    suggestions.hidden = !buttons.length;
    suggestions.querySelector("ul").replaceChildren(...buttons);
  }
}

/** Make an element with some properties. */
export function element(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
