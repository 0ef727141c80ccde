/**
 * What a message is, by its first two bytes (`shared/wire`): kind and version. Hot messages have fixed little-endian
 * layouts and are read here; floats are finite and bounded, lengths exact, reserved bits zero.
 */
import { type Bytes, concat } from "./bytes";
import { Malformed } from "./malformed";

export const VERSION = 1;

export const Kind = {
  Command: 1,
  KitState: 2,
  Watermark: 4,
  FrameRecord: 5,
  ClockPing: 6,
  ClockPong: 7,
  Signed: 16,
  SurgeonSegment: 18,
  DisplayReport: 20,
  PicturesVia: 23,
  Camera: 25,
  Overlay: 26,
  SightWanted: 27,
  NoSight: 28,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** The kind of a message of our version; the number may be one that this page does not know. */
export function kindOf(bytes: Uint8Array): number {
  const [kind, version] = bytes;
  if (kind === undefined || version === undefined) {
    throw new Malformed(`the message has ${bytes.length} bytes, expected at least 2`);
  }
  if (version !== VERSION) throw new Malformed(`wire version ${version}, expected ${VERSION}`);
  return kind;
}

/** A message whose content has a layout of its own: the two bytes, then `content`. */
export function wrap(kind: Kind, content: Uint8Array): Bytes {
  return concat(Uint8Array.of(kind, VERSION), content);
}

/** What {@link wrap} put around. */
export function content(kind: Kind, bytes: Uint8Array): Uint8Array {
  if (kindOf(bytes) !== kind) throw new Malformed(`message kind ${bytes[0]} was not expected here`);
  return bytes.subarray(2);
}

/** A view on a fixed layout: right kind, right version, exact length. */
export function layout(kind: Kind, bytes: Uint8Array, length: number): DataView {
  const view = layoutFrom(kind, bytes, length);
  if (bytes.length !== length) throw new Malformed(`the message has ${bytes.length} bytes, expected ${length}`);
  return view;
}

/** The same where more may follow. */
export function layoutFrom(kind: Kind, bytes: Uint8Array, length: number): DataView {
  const seen = kindOf(bytes);
  if (seen !== kind) throw new Malformed(`message kind ${seen} was not expected here`);
  if (bytes.length < length) throw new Malformed(`the message has ${bytes.length} bytes, expected ${length}`);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function bounded(field: string, value: number, min: number, max: number): number {
  if (Number.isFinite(value) && value >= min && value <= max) return value;
  throw new Malformed(`${field} is ${value}, outside ${min} to ${max}`);
}

/** A byte of flags with no bit set that we do not know. */
export function flags(field: string, value: number, known: number): number {
  if ((value & ~known) === 0) return value;
  throw new Malformed(`unknown ${field} ${value}`);
}

/** Bytes of a view, copied: what parses does not change afterwards. */
export function bytesAt(view: DataView, at: number, length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset + at, length).slice();
}
