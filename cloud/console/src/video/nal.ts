/** What a picture's hashes cover (`docs/evidence-format.md`, 10), and the one form in which a bundle keeps it (14.1). */

/** The bytes whose SHA-256 is the picture hash of an Annex B access unit: NAL units of types 1 to 5, each after its length. */
export function pictureContent(unit: Uint8Array): Uint8Array<ArrayBuffer> {
  return content(unit, isPicture);
}

/** The same of the hash of the whole access unit: all but delimiters and filler. */
export function unitContent(unit: Uint8Array): Uint8Array<ArrayBuffer> {
  return content(unit, isSent);
}

/** Whether it is NAL units that are sent, each behind `00 00 00 01`, and nothing else. */
export function isOneForm(unit: Uint8Array): boolean {
  let at = 0;
  for (const [from, to] of nalUnits(unit)) {
    const long = from === at + 4 && unit[at] === 0 && unit[at + 1] === 0 && unit[at + 2] === 0;
    if (!long || !isSent(unit[from] ?? 0)) return false;
    at = to;
  }
  return at === unit.length;
}

const SEI = 6;
const USER_DATA_UNREGISTERED = 5;

/** What the access unit carries under this name beside its picture (ITU-T H.264, D.1.6); `undefined`: nothing, or nothing whole. */
export function userData(unit: Uint8Array, name: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  for (const [from, to] of nalUnits(unit)) {
    const header = unit[from] ?? 0;
    if (isPicture(header)) return undefined;
    if ((header & 0x1f) !== SEI || unit[from + 1] !== USER_DATA_UNREGISTERED) continue;
    const data = unescaped(unit.subarray(from + 2, to));
    let [at, length] = [0, 0];
    while (data[at] === 0xff) [at, length] = [at + 1, length + 255];
    length += data[at] ?? 0;
    const content = data.subarray(at + 1, at + 1 + length);
    if (content.length === length && name.every((byte, i) => content[i] === byte)) return content.slice(name.length);
  }
  return undefined;
}

/** Without the bytes that keep content from looking like a start code (7.4.1). */
function unescaped(bytes: Uint8Array): Uint8Array {
  return bytes.filter((byte, i) => !(byte === 3 && i > 1 && bytes[i - 1] === 0 && bytes[i - 2] === 0));
}

function content(unit: Uint8Array, wanted: (header: number) => boolean): Uint8Array<ArrayBuffer> {
  const slices = nalUnits(unit).filter(([from]) => wanted(unit[from] ?? 0));
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

function isSent(header: number): boolean {
  const type = header & 0x1f;
  return type !== 9 && type !== 12;
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
