// Pure. The path of a request as routes have it.

/**
 * The raw path, since decoding is the key's business and is strict there. Of one that ends in a key or a name it is what all of
 * its kind begin with, so that the router finds it in a table instead of by a pattern.
 */
export function pathIn({ url }: Request, namedPaths: readonly string[]): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const [first] = namedPaths;
  if (first !== undefined && url.startsWith(first, start)) return first;
  const query = url.indexOf("?", start);
  const path = query === -1 ? url.slice(start) : url.slice(start, query);
  // Without its slash it is a key that was forgotten, and is told so.
  return namedPaths.find((named) => path.startsWith(named) || `${path}/` === named) ?? path;
}
