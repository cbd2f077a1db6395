// Pure. From a line of a bundle to the file it came from, by the comments that esbuild leaves: a profile of the bundle then
// speaks of the project's files, and two profiles of different commits can be compared.

const FILE_COMMENT = /^\/\/ ((?:[\w.@-]+\/)*[\w.@-]+\.[cm]?[jt]s)$/;
const PACKAGE = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//;

/** `lineNumber` from 0; undefined before the first file. A package's files are named by the package. */
export function bundleSources(bundle: string): (lineNumber: number) => string | undefined {
  let file: string | undefined;
  const files = bundle.split("\n").map((line) => {
    const found = FILE_COMMENT.exec(line)?.[1];
    if (found !== undefined) file = PACKAGE.exec(found)?.[1] ?? found;
    return file;
  });
  return (lineNumber) => files[lineNumber];
}
