/** What a picture's hash covers (`docs/evidence-format.md`, 10): NAL units of types 1 to 5, each after its length. */

/** The bytes whose SHA-256 is the picture hash of an Annex B access unit. */
export function pictureContent(unit: Uint8Array): Uint8Array<ArrayBuffer> {
  const slices = nalUnits(unit).filter(([from]) => isPicture(unit[from] ?? 0));
  const content = new Uint8Array(slices.reduce((sum, [from, to]) => sum + 4 + to - from, 0));
  const view = new DataView(content.buffer);
  let at = 0;
  for (const [from, to] of slices) {
    view.setUint32(at, to - from);
    content.set(unit.subarray(from, to), at + 4);
    at += 4 + to - from;
  }
  return content;
}

function isPicture(header: number): boolean {
  const type = header & 0x1f;
  return type >= 1 && type <= 5;
}

/** From and to of each NAL unit between start codes, none empty, without the zero bytes that may follow one. */
function nalUnits(unit: Uint8Array): [number, number][] {
  const units: [number, number][] = [];
  let from = afterStartCode(unit, 0);
  while (from !== undefined) {
    const end = nalEnd(unit, from);
    let to = end;
    while (to > from && unit[to - 1] === 0) to -= 1;
    if (to > from) units.push([from, to]);
    from = afterStartCode(unit, end);
  }
  return units;
}

function afterStartCode(unit: Uint8Array, from: number): number | undefined {
  for (let at = from; at + 2 < unit.length; at++) {
    if (unit[at] === 0 && unit[at + 1] === 0 && unit[at + 2] === 1) return at + 3;
  }
  return undefined;
}

/** Where the next start code begins, which alone ends a NAL unit. */
function nalEnd(unit: Uint8Array, from: number): number {
  for (let at = from; at + 2 < unit.length; at++) {
    if (unit[at] === 0 && unit[at + 1] === 0 && unit[at + 2] === 1) return at;
  }
  return unit.length;
}
