/* The results: the text, the detections, and the picture with the player's place in it. */

import { element } from "./keyword-list.js";
import { Picture } from "./picture.js";

const UNSURE = 0.5;
const NOTHING = "No words were heard.";
const SHOWN_TOKENS = 200;

export class Results {
  /**
   * @param {HTMLElement} root the card.
   * @param {import("./colours.js").Colours} colours of the picture.
   * @param {HTMLAudioElement} audio the player.
   */
  constructor(root, colours, audio) {
    this.text = root.querySelector("#text");
    this.other = root.querySelector("#other-text");
    this.list = root.querySelector("#detections");
    this.none = root.querySelector("#no-detections");
    this.frame = root.querySelector("#picture");
    this.picture = new Picture(this.frame, colours);
    this.audio = audio;
    this.shown = new Map();
    this.#follow();
  }

  /** Forget the results of what was heard before. */
  begin() {
    this.shown.clear();
    this.list.replaceChildren();
    this.frame.hidden = false;
  }

  /** Show a hearing as it stands. */
  show(hearing, keywords, live) {
    this.#showText(hearing);
    const other = hearing.otherText;
    this.other.hidden = !other;
    this.other.textContent = `As a stream, piece by piece: ${other}`;
    this.#showDetections(hearing, keywords, live);
    this.frame.classList.toggle("seekable", !live);
    this.picture.draw(
      hearing,
      keywords.map(({ colour }) => colour),
      live,
    );
    this.#point();
  }

  #showText(hearing) {
    const { text, tokenizer } = hearing;
    this.text.dataset.empty = String(!text);
    const shown = text || (hearing.finished ? NOTHING : "Speak …");
    // A reader's screen is told of changes only.
    if (this.text.textContent === shown) return;
    if (!text) {
      this.text.textContent = shown;
      return;
    }
    const written = symbolsOf(tokenizer, hearing.allSpoken.slice(-SHOWN_TOKENS));
    const gap = ["words", "phonemes"].includes(tokenizer.kind) ? " " : "";
    const pieces = written.flatMap(({ symbol, confidence }, i) => {
      const piece = element("span", { textContent: symbol });
      if (confidence < UNSURE) piece.className = "unsure";
      piece.title = `confidence ${confidence.toFixed(2)}`;
      return i && gap ? [gap, piece] : [piece];
    });
    this.text.replaceChildren(...pieces);
    this.text.scrollTop = this.text.scrollHeight;
  }

  /** Add new detections and take away those that no longer are: nothing else moves. */
  #showDetections({ detections, stepS, durationS }, keywords, live) {
    const wanted = new Map(detections.map((one) => [`${one.keyword} ${one.end}`, one]));
    for (const [key, item] of this.shown) {
      if (wanted.has(key)) continue;
      item.remove();
      this.shown.delete(key);
    }
    let place = null;
    for (const [key, one] of [...wanted].sort(([, a], [, b]) => a.end - b.end)) {
      let item = this.shown.get(key);
      if (!item) {
        const colour = keywords.find(({ text }) => text === one.keyword)?.colour ?? 0;
        item = this.#item(one, colour, stepS, live);
        this.shown.set(key, item);
        if (place) place.after(item);
        else this.list.prepend(item);
        if (live) this.list.scrollTop = this.list.scrollHeight;
      }
      place = item;
    }
    this.none.hidden = this.shown.size > 0;
    this.none.textContent = durationS && !live ? "None." : "None yet.";
  }

  #item({ keyword, start, end, score }, colour, stepS, live) {
    const item = document.createElement("li");
    const chip = element(live ? "span" : "button", { className: "detection new" });
    chip.style.setProperty("--colour", `var(--key-${colour})`);
    chip.dataset.startS = String(start * stepS);
    chip.dataset.endS = String(end * stepS);
    const when = `${(start * stepS).toFixed(2)}–${(end * stepS).toFixed(2)} s`;
    chip.append(
      element("b", { textContent: keyword }),
      element("span", { className: "when", textContent: `${when}, score ${score.toFixed(2)}` }),
    );
    if (!live) {
      chip.type = "button";
      chip.title = "Play from here";
      chip.addEventListener("click", () => this.#playFrom(start * stepS));
    }
    item.append(chip);
    return item;
  }

  #playFrom(seconds) {
    this.audio.currentTime = seconds;
    // A file that the browser decodes but cannot play is shown all the same.
    this.audio.play().catch(() => {});
  }

  /** Let the picture and the detections follow the player, and the player the picture. */
  #follow() {
    const draw = () => {
      this.#point();
      if (!this.audio.paused && !this.audio.ended) requestAnimationFrame(draw);
    };
    for (const event of ["play", "seeked", "pause", "ended"]) {
      this.audio.addEventListener(event, draw);
    }
    this.frame.addEventListener("click", (event) => {
      if (event.target.tagName !== "CANVAS" || !this.audio.src) return;
      this.audio.currentTime = this.picture.secondsAt(event.clientX);
    });
  }

  #point() {
    const now = this.audio.currentTime;
    const playing = Boolean(this.audio.src) && now > 0;
    this.picture.point(playing ? now : null);
    for (const item of this.shown.values()) {
      const chip = item.firstChild;
      const inside = now >= Number(chip.dataset.startS) && now < Number(chip.dataset.endS);
      chip.classList.toggle("now", playing && inside);
    }
  }
}

/** Give how tokens are written, one by one; phonemes word by word, as sure as the least sure. */
function symbolsOf(tokenizer, tokens) {
  if (tokenizer.kind !== "phonemes") {
    const whole = new Set(tokenizer.kind === "words" ? [] : tokenizer.wholeWords());
    return tokens.map(({ id, confidence }) => {
      const token = tokenizer.tokens[id];
      const symbol = tokenizer.isSpace(id) ? " " : whole.has(token) ? ` ${token} ` : token;
      return { symbol, confidence };
    });
  }
  const words = [[]];
  for (const token of tokens) {
    if (tokenizer.isSpace(token.id)) words.push([]);
    else words.at(-1).push(token);
  }
  return words
    .filter((word) => word.length)
    .map((word) => ({
      symbol: tokenizer.decode(word.map(({ id }) => id)),
      confidence: Math.min(...word.map(({ confidence }) => confidence)),
    }));
}
