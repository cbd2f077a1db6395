// An incremental parser for HTTP/1.1 replies (RFC 9112), for one reply at a time on one connection.
// It exists because the load generator shares its cores with the server that it measures: a general client costs several
// times as much per request. Understands fixed-length, chunked and until-close bodies and skips 1xx replies; it does
// not decode content codings, keep trailers or accept pipelined replies.

/** More than workerd sends and less than would hide a server that never ends its header. */
const HEAD_BYTES_MAX = 64 * 1024;
/** A chunk-size line or one trailer; sixteen hex digits would do, chunk extensions are rare and short. */
const LINE_BYTES_MAX = 4 * 1024;

const HEAD_END = Buffer.from("\r\n\r\n");
const LINE_END = Buffer.from("\r\n");
const NOTHING = Buffer.alloc(0);

/** One complete reply. Header names are case-insensitive. */
export class HttpReply {
  readonly kind = "reply";
  readonly status: number;
  readonly body: Buffer;
  /** Whether the server keeps the connection open after this reply. */
  readonly keepsAlive: boolean;
  readonly #head: string;

  constructor(status: number, head: string, body: Buffer, keepsAlive: boolean) {
    this.status = status;
    this.#head = head;
    this.body = body;
    this.keepsAlive = keepsAlive;
  }

  /** Value of a header, or undefined; repeated headers are joined by ", " (RFC 9110, section 5.2). */
  header(name: string): string | undefined {
    return headerValue(this.#head, name);
  }

  text(): string {
    return this.body.toString("utf8");
  }
}

export interface MalformedReply {
  readonly kind: "malformed";
  readonly detail: string;
}

type Phase = "head" | "sized" | "chunk-size" | "chunk-data" | "chunk-end" | "trailers" | "until-close";

/** What one step of the parser came to: a finished reply, a fault, more steps to do, or nothing to do without more bytes. */
type Step = HttpReply | MalformedReply | "again" | "starved";

export class HttpReplyParser {
  #phase: Phase = "head";
  /** Bytes that have arrived and are not consumed yet; a view on the caller's chunk only during `push`. */
  #unread: Buffer = NOTHING;
  #isHeadRequest = false;
  #status = 0;
  #head = "";
  #keepsAlive = true;
  #body: Buffer[] = [];
  /** Bytes of the body (or of the current chunk) still to come. */
  #remaining = 0;

  /** Prepare for the reply to one request; a reply to HEAD has no body whatever its header says. */
  begin(method: string): void {
    this.#phase = "head";
    this.#unread = NOTHING;
    this.#isHeadRequest = method === "HEAD";
    this.#body = [];
  }

  /** Take the next bytes off the connection; the caller may reuse `chunk` afterwards. Undefined: not complete yet. */
  push(chunk: Buffer): HttpReply | MalformedReply | undefined {
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    let step: Step = "again";
    while (step === "again") step = this.#step();
    if (step === "starved") {
      this.#unread = this.#unread.length === 0 ? NOTHING : Buffer.from(this.#unread);
      return undefined;
    }
    if (step.kind === "reply" && this.#unread.length > 0) return malformed("bytes follow the reply");
    return step;
  }

  /** The server closed its side: the end of an until-close body, a cut-off reply anywhere else. */
  finish(): HttpReply | MalformedReply {
    if (this.#phase === "until-close") return this.#complete();
    return malformed(`the connection ended in the ${this.#phase} of a reply`);
  }

  #step(): Step {
    switch (this.#phase) {
      case "head":
        return this.#readHead();
      case "sized":
      case "chunk-data":
        return this.#readBody();
      case "chunk-size":
        return this.#readChunkSize();
      case "chunk-end":
        return this.#readChunkEnd();
      case "trailers":
        return this.#readTrailer();
      case "until-close":
        this.#take(this.#unread.length);
        return "starved";
    }
  }

  #readHead(): Step {
    const end = this.#unread.indexOf(HEAD_END);
    if (end < 0) return this.#unread.length > HEAD_BYTES_MAX ? malformed("the header is too long") : "starved";
    // Latin-1 maps every byte to one character, which is what RFC 9112 asks of a parser that must not misread bytes.
    const head = this.#unread.toString("latin1", 0, end + LINE_END.length);
    this.#unread = this.#unread.subarray(end + HEAD_END.length);
    const status = statusOf(head);
    if (status === undefined) return malformed(`not an HTTP/1.1 status line: ${head.slice(0, 40)}`);
    // 1xx is an interim reply: the real one follows (RFC 9110, section 15.2).
    if (status < 200) return "again";
    this.#status = status;
    this.#head = head;
    return this.#frameBody();
  }

  /** Decide how long the body is, in the order of RFC 9112, section 6.3. */
  #frameBody(): Step {
    const connection = headerValue(this.#head, "connection");
    this.#keepsAlive =
      connection === undefined ? this.#head.startsWith("HTTP/1.1") : connection.toLowerCase() !== "close";
    if (this.#isHeadRequest || this.#status === 204 || this.#status === 304) return this.#complete();
    const transferEncoding = headerValue(this.#head, "transfer-encoding");
    if (transferEncoding !== undefined) {
      if (transferEncoding.toLowerCase() !== "chunked") return malformed(`transfer coding ${transferEncoding}`);
      this.#phase = "chunk-size";
      return "again";
    }
    const length = headerValue(this.#head, "content-length");
    if (length === undefined) {
      this.#keepsAlive = false;
      this.#phase = "until-close";
      return "again";
    }
    if (!/^\d{1,15}$/.test(length)) return malformed(`content-length ${length}`);
    this.#remaining = Number(length);
    this.#phase = "sized";
    return "again";
  }

  #readBody(): Step {
    this.#take(Math.min(this.#remaining, this.#unread.length));
    if (this.#remaining > 0) return "starved";
    if (this.#phase === "sized") return this.#complete();
    this.#phase = "chunk-end";
    return "again";
  }

  #readChunkSize(): Step {
    const line = this.#readLine();
    if (typeof line !== "string") return line ?? "starved";
    const digits = /^([0-9a-fA-F]{1,12})[ \t]*(?:;.*)?$/.exec(line)?.[1];
    if (digits === undefined) return malformed(`chunk size "${line.slice(0, 40)}"`);
    this.#remaining = Number.parseInt(digits, 16);
    this.#phase = this.#remaining === 0 ? "trailers" : "chunk-data";
    return "again";
  }

  #readChunkEnd(): Step {
    if (this.#unread.length < LINE_END.length) return "starved";
    if (this.#unread[0] !== LINE_END[0] || this.#unread[1] !== LINE_END[1])
      return malformed("a chunk overran its size");
    this.#unread = this.#unread.subarray(LINE_END.length);
    this.#phase = "chunk-size";
    return "again";
  }

  #readTrailer(): Step {
    const line = this.#readLine();
    if (typeof line !== "string") return line ?? "starved";
    return line === "" ? this.#complete() : "again";
  }

  /** The next line without its end; undefined while it is incomplete. */
  #readLine(): string | MalformedReply | undefined {
    const end = this.#unread.indexOf(LINE_END);
    if (end < 0) return this.#unread.length > LINE_BYTES_MAX ? malformed("a line is too long") : undefined;
    const line = this.#unread.toString("latin1", 0, end);
    this.#unread = this.#unread.subarray(end + LINE_END.length);
    return line;
  }

  /** Move bytes into the body; copied, because the caller's chunk is overwritten by the next read. */
  #take(bytes: number): void {
    if (bytes === 0) return;
    this.#body.push(Buffer.from(this.#unread.subarray(0, bytes)));
    this.#unread = this.#unread.subarray(bytes);
    this.#remaining -= bytes;
  }

  #complete(): HttpReply {
    const [first] = this.#body;
    const body = first === undefined ? NOTHING : this.#body.length === 1 ? first : Buffer.concat(this.#body);
    return new HttpReply(this.#status, this.#head, body, this.#keepsAlive);
  }
}

function malformed(detail: string): MalformedReply {
  return { kind: "malformed", detail };
}

function statusOf(head: string): number | undefined {
  const digits = /^HTTP\/1\.[01] ([1-5]\d\d)[ \r]/.exec(head)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** One pass over the lines, comparing lengths first: cheaper than building a map that most replies never read. */
function headerValue(head: string, name: string): string | undefined {
  const wanted = name.toLowerCase();
  let value: string | undefined;
  let lineStart = head.indexOf("\r\n") + 2;
  while (lineStart < head.length) {
    const lineEnd = head.indexOf("\r\n", lineStart);
    const colon = lineStart + wanted.length;
    if (head.charCodeAt(colon) === 58 && head.slice(lineStart, colon).toLowerCase() === wanted) {
      const found = head.slice(colon + 1, lineEnd).trim();
      value = value === undefined ? found : `${value}, ${found}`;
    }
    lineStart = lineEnd + 2;
  }
  return value;
}
