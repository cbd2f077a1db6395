// A stream of bytes as lines, none longer than it may be, however the bytes arrive.

const NEWLINE = 0x0a;

/** With its newline; the last line of a stream that does not end in one comes without. `broken`: the stream has failed. */
export async function* linesOf(
  body: ReadableStream<Uint8Array>,
  lineBytesMax: number,
): AsyncGenerator<Uint8Array | "too_long" | "broken", void> {
  const reader = body.getReader();
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  try {
    for (;;) {
      // The only way for reading a request's body to fail: the client went away or broke the framing.
      const read = await reader.read().catch(() => "broken" as const);
      if (read === "broken") return yield "broken";
      if (read.done) break;
      const chunk = read.value;
      for (let at = 0; at < chunk.byteLength; ) {
        const end = chunk.indexOf(NEWLINE, at);
        const piece = chunk.subarray(at, end === -1 ? undefined : end + 1);
        rest.push(piece);
        restBytes += piece.byteLength;
        if (restBytes > lineBytesMax) return yield "too_long";
        at += piece.byteLength;
        if (end === -1) break;
        yield joined(rest, restBytes);
        rest = [];
        restBytes = 0;
      }
    }
    if (restBytes > 0) yield joined(rest, restBytes);
  } finally {
    // Whoever stops in the middle wants no more of it.
    void reader.cancel().catch(() => undefined);
  }
}

function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const [first] = pieces;
  if (pieces.length === 1 && first !== undefined) return first;
  const line = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    line.set(piece, at);
    at += piece.byteLength;
  }
  return line;
}
