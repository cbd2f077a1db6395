// Pure. Which of the two texts of metrics a scraper would rather have (RFC 9110, section 12.5.1). Whoever does not name OpenMetrics
// gets the older text, which everything reads: a browser, curl, a wildcard.

/** Longer than any scraper's. */
const ACCEPT_CHARS_MAX = 2_048;

export function prefersOpenMetrics(accept: string | null): boolean {
  if (accept === null || accept.length > ACCEPT_CHARS_MAX) return false;
  const openMetrics = weightOf(accept, "application/openmetrics-text", "1.0.0");
  return openMetrics > 0 && openMetrics >= weightOf(accept, "text/plain", "0.0.4");
}

/** The highest that the type has, in this version or in any; 0: none. */
function weightOf(accept: string, wanted: string, version: string): number {
  let weight = 0;
  for (const range of accept.toLowerCase().split(",")) {
    const [type, ...parameters] = range.split(";").map((part) => part.trim());
    if (type !== wanted) continue;
    const values = new Map(parameters.map((text) => [nameOf(text), text.slice(nameOf(text).length + 1)]));
    if ((values.get("version") ?? version).replaceAll('"', "") !== version) continue;
    const q = Number(values.get("q") ?? 1);
    if (q <= 1) weight = Math.max(weight, q);
  }
  return weight;
}

function nameOf(parameter: string): string {
  return parameter.split("=", 1)[0] ?? "";
}
