/** Segments and display reports, read and opened (`docs/evidence-format.md`, 9). */
import { type Bytes } from "../wire/bytes";
import { Fields, fromCbor } from "../wire/cbor";
import { Malformed } from "../wire/malformed";
import { type DisplayReport, type Link, SEGMENT_ITEMS_MAX, type SurgeonSegment } from "../wire/segment";
import { Domain, SIGNED_BYTES_MAX, open } from "../wire/signed";

export interface Outcome {
  readonly sequence: bigint;
  readonly tickUs: bigint;
  /** `undefined`: taken in. Numbers in thousandths. */
  readonly refused: { readonly code: number; readonly seenMilli: bigint; readonly limitMilli: bigint } | undefined;
}

export interface KitSegment {
  readonly link: Link;
  readonly boot: Bytes;
  readonly fromUs: bigint;
  readonly toUs: bigint;
  readonly token: bigint;
  readonly unauthentic: bigint;
  readonly verdicts: readonly Outcome[];
}

/** A segment and who signed it. */
export interface Signed<T> {
  readonly author: Bytes;
  readonly segment: T;
}

export function openSurgeonSegment(signed: Uint8Array): Promise<Signed<SurgeonSegment>> {
  return opened(Domain.surgeonSegment, signed, 3, (f) => ({
    link: readLink(f),
    token: f.u64(),
    sent: f.list("commands in a segment", SEGMENT_ITEMS_MAX, (item) => {
      const one = item.record("a command that was sent", 2);
      return { sequence: one.u64(), hash: one.bytes(32) };
    }),
  }));
}

export function openKitSegment(signed: Uint8Array): Promise<Signed<KitSegment>> {
  return opened(Domain.kitSegment, signed, 7, (f) => ({
    link: readLink(f),
    boot: f.bytes(16),
    fromUs: f.u64(),
    toUs: f.u64(),
    token: f.u64(),
    unauthentic: f.u64(),
    verdicts: f.list("verdicts in a segment", SEGMENT_ITEMS_MAX, (item) => readOutcome(item.record("verdict", 3))),
  }));
}

export function openDisplayReport(signed: Uint8Array): Promise<Signed<DisplayReport>> {
  return opened(Domain.displayReport, signed, 2, (f) => ({
    link: readLink(f),
    shown: f.list("frames in a display report", SEGMENT_ITEMS_MAX, (item) => {
      const one = item.record("a frame that was shown", 4);
      return { frame: one.u64(), pictureHash: one.bytes(32), shownUs: one.u64(), glassToGlassUs: one.u64() };
    }),
  }));
}

async function opened<T>(domain: Uint8Array, signed: Uint8Array, fields: number, read: (f: Fields) => T): Promise<Signed<T>> {
  const { author, body } = await open(domain, signed);
  return { author, segment: read(new Fields("segment", fromCbor("segment", body, SIGNED_BYTES_MAX), fields)) };
}

function readLink(fields: Fields): Link {
  const f = fields.record("link", 3);
  const link = { session: f.bytes(16), number: f.u64(), previous: f.bytes(32) };
  if (link.number === 0n) throw new Malformed("a segment has number 0, they count from 1");
  return link;
}

function readOutcome(f: Fields): Outcome {
  const [sequence, tickUs] = [f.u64(), f.u64()];
  const outcome = f.record("outcome");
  const refused = outcome.number(1) === 1;
  if (outcome.length !== (refused ? 4 : 1)) throw new Malformed("an outcome is of no known shape");
  if (!refused) return { sequence, tickUs, refused: undefined };
  return { sequence, tickUs, refused: { code: outcome.number(0xffff_ffff), seenMilli: outcome.i64(), limitMilli: outcome.i64() } };
}
