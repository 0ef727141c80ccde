/**
 * Segments: what this console says it sent and showed, signed by the session key, each naming the one before
 * (`docs/evidence-format.md`, 9). An envelope of its own, without kind and version of the message that carries it.
 */
import { type Bytes } from "./bytes";
import { type Cbor, toCbor, uint } from "./cbor";
import { type Signer } from "./ed25519";
import { Domain, seal } from "./signed";

/** No segment lists more. */
export const SEGMENT_ITEMS_MAX = 256;

/** A segment's place in its author's chain. */
export interface Link {
  readonly session: Bytes;
  /** From 1. */
  readonly number: bigint;
  /** SHA-256 of the envelope before; zero before the first. */
  readonly previous: Bytes;
}

/** A command that left the console. */
export interface Sent {
  readonly sequence: bigint;
  /** SHA-256 of the whole frame, with its code. */
  readonly hash: Bytes;
}

/** Commands under one lease token, without holes. */
export interface SurgeonSegment {
  readonly link: Link;
  readonly token: bigint;
  readonly sent: readonly Sent[];
}

/** A frame that was shown. */
export interface Shown {
  readonly frame: bigint;
  /** Reckoned here, over what the browser received. */
  readonly pictureHash: Bytes;
  /** On this page's clock. */
  readonly shownUs: bigint;
  readonly glassToGlassUs: bigint;
}

export interface DisplayReport {
  readonly link: Link;
  readonly shown: readonly Shown[];
}

export function surgeonSegment({ link, token, sent }: SurgeonSegment, signer: Signer): Promise<Bytes> {
  const items = sent.map(({ sequence, hash }): Cbor => [uint(sequence), hash]);
  return seal(Domain.surgeonSegment, signer, toCbor([linkOf(link), uint(token), bounded(items)]));
}

export function displayReport({ link, shown }: DisplayReport, signer: Signer): Promise<Bytes> {
  const items = shown.map((one): Cbor => [uint(one.frame), one.pictureHash, uint(one.shownUs), uint(one.glassToGlassUs)]);
  return seal(Domain.displayReport, signer, toCbor([linkOf(link), bounded(items)]));
}

function linkOf({ session, number, previous }: Link): Cbor {
  return [session, uint(number), previous];
}

function bounded(items: readonly Cbor[]): readonly Cbor[] {
  if (items.length <= SEGMENT_ITEMS_MAX) return items;
  throw new RangeError(`${items.length} items in a segment, at most ${SEGMENT_ITEMS_MAX} are allowed`);
}
