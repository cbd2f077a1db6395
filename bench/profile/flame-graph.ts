// Pure. A tree of calls as an SVG that needs no script: callers above, callees below, the width of a box is its time. Pointing
// at a box shows its name, time and share.

import type { CallTree, FunctionKind } from "./cpu-profile.ts";

const WIDTH = 1_200;
const ROW = 18;
const HEAD = 28;
/** Narrower boxes cannot be seen, and there are thousands of them. */
const WIDTH_MIN = 0.5;
/** Of a character of the label, roughly. */
const CHARACTER = 6.6;

const COLOURS: Readonly<Record<FunctionKind, string>> = {
  script: "#f2a65a",
  native: "#7fb3d5",
  runtime: "#c8ccd0",
  collector: "#d98880",
};

export function flameGraph(tree: CallTree, title: string): string {
  const boxes: string[] = [];
  let depthMax = 0;
  const draw = (node: CallTree, depth: number, startUs: number): void => {
    const width = (node.totalUs / tree.totalUs) * WIDTH;
    if (!(width >= WIDTH_MIN)) return;
    depthMax = Math.max(depthMax, depth);
    boxes.push(box(node, depth, (startUs / tree.totalUs) * WIDTH, width, node.totalUs / tree.totalUs));
    let childUs = startUs;
    for (const child of node.children) {
      draw(child, depth + 1, childUs);
      childUs += child.totalUs;
    }
  };
  draw(tree, 0, 0);
  const height = HEAD + (depthMax + 1) * ROW;
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="monospace" font-size="11">`;
  const heading = `<text x="4" y="18" font-size="14">${escapeXml(title)}</text>`;
  return `${[head, heading, ...boxes, "</svg>"].join("\n")}\n`;
}

function box(node: CallTree, depth: number, x: number, width: number, share: number): string {
  const y = HEAD + depth * ROW;
  const told = `${node.name}: ${(node.totalUs / 1_000).toFixed(1)} ms, ${(share * 100).toFixed(1)} %`;
  const room = Math.floor(width / CHARACTER) - 1;
  const label =
    room < 3 ? "" : `<text x="${(x + 3).toFixed(1)}" y="${y + 13}">${escapeXml(node.name.slice(0, room))}</text>`;
  const shape = `<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 1}" fill="${COLOURS[node.kind]}"/>`;
  return `<g><title>${escapeXml(told)}</title>${shape}${label}</g>`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
