// Pure. Comparing secrets without telling how much of a guess was right.

/**
 * Takes one step per presented character, wherever the first difference is and however long `expected` is: the time tells
 * an attacker the length of their own guess. No digest is needed for that, which would be asynchronous.
 */
export function equalsInConstantTime(presented: string, expected: string): boolean {
  let difference = presented.length ^ expected.length;
  for (let at = 0; at < presented.length; at++) {
    difference |= presented.charCodeAt(at) ^ expected.charCodeAt(at % expected.length);
  }
  return difference === 0;
}
