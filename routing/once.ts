// Pure. What is made when it is first asked for, and kept. Schemas are: making one costs more than checking with it, and all of
// them together more than the whole rest of a Worker's start.

export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
