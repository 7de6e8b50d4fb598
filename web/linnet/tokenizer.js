/* Text to token ids and back, by the same rules as linnet.text in Python.

       "Turn LEFT!" --normalise--> "turn left" --encode--> [21, 22, ...] --decode--> "turn left"

   Token 0 is the CTC blank; a space is written U+2581. */

const SPACE = "\u2581";
const APOSTROPHES = /[\u2018\u2019\u02bc`]/g;
const SHOWN_TOKENS = 8;

/** Give the text in lower case, without punctuation and with single spaces. */
export function normalise(text) {
  // JavaScript has no case folding; of what speech is written with, only the sharp s differs.
  const folded = text.normalize("NFKC").replace(APOSTROPHES, "'").toLowerCase().replace(/ß/g, "ss");
  const words = folded.replace(/[^\p{L}\p{N}\p{M}']/gu, " ").split(/\s+/u);
  return words.map((word) => word.replace(/^'+|'+$/g, "")).filter(Boolean).join(" ");
}

export class Tokenizer {
  /**
   * @param {"characters" | "words"} kind what one token is.
   * @param {string[]} tokens all symbols by id, the blank first.
   */
  constructor(kind, tokens) {
    if (kind !== "characters" && kind !== "words") {
      throw new Error(`there is no tokenizer "${kind}"; known: characters, words`);
    }
    this.kind = kind;
    this.tokens = tokens;
    this.ids = new Map(tokens.map((token, id) => [token, id]));
  }

  /** Give the token ids of a text; an error names what the model cannot spell. */
  encode(text) {
    const normal = normalise(text);
    const symbols =
      this.kind === "words"
        ? normal.split(" ").filter(Boolean)
        : [...normal].map((symbol) => (symbol === " " ? SPACE : symbol));
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
    return symbols.join("").replaceAll(SPACE, " ").trim();
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

function visible(symbol) {
  return symbol === SPACE ? "␣" : symbol;
}
