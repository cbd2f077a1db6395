// Signed URLs, made where the signing key is: in a backend, never in a browser. An entry of its own, because few need it and
// nobody else should load it. Signed tokens need nothing from here: any JWT library makes them (docs/operations.md).

export interface UrlToSign {
  /** Of the deployment: https://halo.example.com */
  readonly origin: string;
  /** GET is good for HEAD too. */
  readonly method: "GET" | "PUT";
  readonly key: string;
  readonly namespace?: string;
  /** The end of its time, at most seven days from now. */
  readonly expires: Date;
  /** HALO_SIGNING_KEY, as text; a deployment that checks tokens with a JWK has no signed URLs. */
  readonly signingKey: string;
}

/** The URL with which whoever has it may do this, and nothing else, until then. */
export async function signUrl({
  origin,
  method,
  key,
  namespace = "",
  expires,
  signingKey,
}: UrlToSign): Promise<string> {
  const seconds = String(Math.floor(expires.getTime() / 1_000));
  const encoder = new TextEncoder();
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const secret = await crypto.subtle.importKey("raw", encoder.encode(signingKey), hmac, false, ["sign"]);
  const text = `halo-url-v1\n${method}\n${seconds}\n${namespace}\n${key}`;
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", secret, encoder.encode(text)));
  const url = new URL(`/v1/kv/${encodeURIComponent(key).replaceAll("%2F", "/")}`, origin);
  url.searchParams.set("halo-expires", seconds);
  if (namespace !== "") url.searchParams.set("halo-namespace", namespace);
  url.searchParams.set("halo-signature", base64Url(signature));
  return url.href;
}

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
