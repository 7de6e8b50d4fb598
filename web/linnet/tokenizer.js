/* Text to token ids and back, by the same rules as linnet.text in Python.

       "Turn LEFT!" --normalise--> "turn left" --encode--> [21, 22, ...] --decode--> "turn left"

   Token 0 is the CTC blank; a space is written U+2581. */

const SPACE = "\u2581";
const APOSTROPHES = /[\u2018\u2019\u02bc`]/g;
const SHOWN_TOKENS = 8;
const KINDS = ["characters", "words", "mixed", "phonemes"];

/** Give the text in lower case, without punctuation and with single spaces. */
export function normalise(text) {
  // JavaScript has no case folding; of what speech is written with, only the sharp s differs.
  const folded = text.normalize("NFKC").replace(APOSTROPHES, "'").toLowerCase().replace(/ß/g, "ss");
  const words = folded.replace(/[^\p{L}\p{N}\p{M}']/gu, " ").split(/\s+/u);
  return words.map((word) => word.replace(/^'+|'+$/g, "")).filter(Boolean).join(" ");
}

export class Tokenizer {
  /**
   * @param {object} description as in model.json: `kind`, what one token is ("characters",
   *   "words", "phonemes", or "mixed": a character, or one of some whole words); `tokens`, all
   *   symbols by id, the blank first; of phonemes the `lexicon`, "word pronunciation" each.
   */
  constructor({ kind, tokens, lexicon = [] }) {
    if (!KINDS.includes(kind)) {
      throw new Error(`there is no tokenizer "${kind}"; known: ${KINDS.join(", ")}`);
    }
    this.kind = kind;
    this.tokens = tokens;
    this.ids = new Map(tokens.map((token, id) => [token, id]));
    // Phonemes are letters; another alphabet may hold what means something in a pattern.
    const phonemes = kind === "phonemes" ? tokens.slice(2) : [];
    const longestFirst = phonemes.sort((a, b) => b.length - a.length);
    this.phonemes = new RegExp([...longestFirst, "."].join("|"), "gu");
    const pairs = lexicon.map((entry) => entry.split(" "));
    this.lexicon = new Map(pairs);
    // Of words that sound alike the first stands for all.
    this.words = new Map(pairs.reverse().map(([word, said]) => [said, word]));
  }

  /** Give the token ids of a text; an error names what the model cannot spell. */
  encode(text) {
    const normal = normalise(text);
    const symbols = this.kind === "phonemes" ? this.#pronounced(normal) : this.#symbols(normal);
    const unknown = [...new Set(symbols.filter((symbol) => !(this.ids.get(symbol) > 0)))].sort();
    if (unknown.length) {
      const known = this.tokens.slice(1, 1 + SHOWN_TOKENS).map(visible);
      const more = this.tokens.length > 1 + SHOWN_TOKENS ? ", …" : "";
      const what = this.kind === "words" ? "word" : "character";
      throw new Error(
        `this model has no ${what} ${unknown.map((one) => `“${visible(one)}”`).join(", ")}; ` +
          `it knows ${known.join(", ")}${more}`,
      );
    }
    return symbols.map((symbol) => this.ids.get(symbol));
  }

  /** Give the text that token ids spell. */
  decode(ids) {
    const symbols = Array.from(ids, (id) => this.tokens[id]);
    if (this.kind === "words") return symbols.join(" ");
    if (this.kind === "phonemes") {
      const said = symbols.join("").split(SPACE).filter(Boolean);
      return said.map((word) => this.words.get(word) ?? word).join(" ");
    }
    if (this.kind === "characters") return symbols.join("").replaceAll(SPACE, " ").trim();
    const spaced = symbols.map((symbol) => (isWhole(symbol) ? ` ${symbol} ` : symbol));
    return spaced.join("").replaceAll(SPACE, " ").split(" ").filter(Boolean).join(" ");
  }

  /** Give the whole words among the tokens. */
  wholeWords() {
    if (this.kind === "words") return this.tokens.slice(1);
    return this.kind === "mixed" ? this.tokens.slice(1).filter(isWhole) : [];
  }

  #pronounced(normal) {
    const words = normal.split(" ").filter(Boolean);
    const phonemesOf = (said) => said.match(this.phonemes) ?? [];
    // What is written in phonemes stands for itself; at least one of them is no plain letter.
    const written = (word) =>
      /[^\x00-\x7f]/.test(word) && phonemesOf(word).every((one) => this.ids.has(one));
    const unknown = words.filter((word) => !this.lexicon.has(word) && !written(word));
    if (unknown.length) {
      throw new Error(
        `this model's lexicon lacks ${unknown.map((one) => `“${one}”`).join(", ")}; write it in ` +
          `its phonemes: ${this.tokens.slice(2).join(" ")}`,
      );
    }
    return words.flatMap((word, i) => {
      const said = phonemesOf(this.lexicon.get(word) ?? word);
      return i ? [SPACE, ...said] : said;
    });
  }

  #symbols(normal) {
    const words = normal.split(" ").filter(Boolean);
    if (this.kind === "words") return words;
    const whole = (word) => this.kind === "mixed" && isWhole(word) && this.ids.has(word);
    return words.flatMap((word, i) => {
      if (whole(word)) return [word];
      // A whole word is set off by itself.
      return i && !whole(words[i - 1]) ? [SPACE, ...word] : [...word];
    });
  }

  /** Tell whether a token is what separates words. */
  isSpace(id) {
    return this.tokens[id] === SPACE;
  }

  /** Give a token as it is shown beside a picture. */
  shown(id) {
    return visible(this.tokens[id]);
  }
}

function isWhole(symbol) {
  return [...symbol].length > 1;
}

function visible(symbol) {
  return symbol === SPACE ? "␣" : symbol;
}
