// Pure. Server-sent events (WHATWG HTML, section 9.2.6) from the text of a reply, in whatever pieces it comes. Only what the API
// sends: events with a name and one line of data, `retry` and comments; no ids.

export interface StreamEvent {
  readonly name: string;
  readonly data: string;
}

/** An event that is longer is no event of this API: the stream is given up instead of kept in memory. */
export const EVENT_CHARS_MAX = 4_000_000;

export class EventParser {
  /** What the server asks to wait before coming again. */
  retryMs: number | undefined;
  #rest = "";

  /** Returns the events that this piece completes. Throws where an event is too long. */
  push(piece: string): readonly StreamEvent[] {
    const blocks = (this.#rest + piece).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    if (this.#rest.length > EVENT_CHARS_MAX) throw new Error("an event of the stream is too long");
    return blocks.flatMap((block) => this.#read(block));
  }

  #read(block: string): readonly StreamEvent[] {
    let name = "message";
    const data: string[] = [];
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      const field = line.slice(0, colon);
      const value = line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") name = value;
      else if (field === "data") data.push(value);
      else if (field === "retry" && /^\d{1,6}$/.test(value)) this.retryMs = Number(value);
    }
    return data.length === 0 ? [] : [{ name, data: data.join("\n") }];
  }
}
