/**
 * The way through a bundle's container (MCAP; `docs/evidence-format.md`, 14). Nothing that is read here is believed: it is
 * made again and compared (`again.ts`). So this looks only at what it needs to find its way, and bounds it.
 */
import { type Bytes } from "../wire/bytes";
import { type Source, Unreadable } from "./source";
import { PROOF_BYTES_MAX } from "../trust/proof";
import { TRUST_BYTES_MAX } from "../trust/root";

export const MAGIC = Uint8Array.of(0x89, 0x4d, 0x43, 0x41, 0x50, 0x30, 0x0d, 0x0a);
export const OP = {
  header: 1, footer: 2, schema: 3, channel: 4, message: 5, chunk: 6, messageIndex: 7, chunkIndex: 8, attachment: 9, attachmentIndex: 10,
  statistics: 11, summaryOffset: 14, dataEnd: 15,
} as const; // prettier-ignore
export const LEAVES = 1;
export const VIDEO = 2;
export const CHUNK_BYTES = 1_048_576;

const UNIT_BYTES_MAX = 16 * 1024 * 1024;
const LEAF_BYTES_MAX = 1_052_672;
/** A manifest, the trust root in it included. */
export const MANIFEST_BYTES_MAX = TRUST_BYTES_MAX + 65_536;
const RECORD_BYTES_MAX = CHUNK_BYTES + UNIT_BYTES_MAX + 128 * 1024;
/** Opcode and length of a record. */
const HEAD_BYTES = 9;
const FOOTER_BYTES = HEAD_BYTES + 20;
/** Two times, size, CRC, compression (empty), size again. */
const CHUNK_HEAD_BYTES = 40;
const MESSAGE_HEAD_BYTES = 22;
const CRC_BYTES = 4;

export interface Attachment {
  readonly name: string;
  /** Where its data begins and ends, and the record itself. */
  readonly from: number;
  readonly to: number;
  readonly record: number;
}

export interface Parts {
  readonly manifest: Attachment;
  readonly proofs: Attachment;
}

/** A leaf's message, and its picture, each with the place in the file. */
export interface Content {
  readonly data: Bytes;
  readonly at: number;
  readonly unit: { readonly bytes: Bytes; readonly at: number } | undefined;
}

export async function readParts(source: Source): Promise<Parts> {
  const footerAt = source.size - MAGIC.length - FOOTER_BYTES;
  if (footerAt < MAGIC.length) throw new Unreadable("it does not end as an MCAP file: it is none, or it is cut off");
  const end = await source.read(footerAt, source.size);
  const footer = new Reader(end, footerAt);
  const isFooter = footer.u8() === OP.footer && footer.u64() === 20;
  if (!isFooter || !MAGIC.every((byte, i) => byte === end[FOOTER_BYTES + i])) {
    throw new Unreadable("it does not end as an MCAP file: it is none, or it is cut off");
  }
  const summary = footer.u64();
  if (summary < MAGIC.length || summary > footerAt) throw new Unreadable("it is an MCAP file, but no bundle: it has no summary");
  const found: Attachment[] = [];
  for await (const { opcode, body, at } of records(source, summary, footerAt)) {
    if (opcode === OP.attachmentIndex && found.push(attachment(new Reader(body, at), summary)) > 2) break;
  }
  const [manifest, proofs] = found;
  if (found.length !== 2 || manifest?.name !== "manifest" || proofs?.name !== "proofs") {
    throw new Unreadable("it is an MCAP file, but no bundle: it has no manifest or no proofs");
  }
  if (manifest.to - manifest.from > MANIFEST_BYTES_MAX) throw new Unreadable("it is an MCAP file, but no bundle: its manifest is too long");
  return { manifest, proofs };
}

function attachment(index: Reader, summary: number): Attachment {
  const [record, length] = [index.u64(), index.u64()];
  index.take(16);
  const size = index.u64();
  const name = index.text();
  const to = record + length - CRC_BYTES;
  const from = to - size;
  if (from <= record || to + CRC_BYTES > summary) throw new Unreadable("it is an MCAP file, but no bundle: an attachment is not where it should be");
  return { name, from, to, record };
}

/** The leaves with what belongs to them, in order. */
export async function* contents(source: Source, { manifest }: Parts): AsyncGenerator<Content> {
  let leaf: Omit<Content, "unit"> | undefined;
  for await (const { opcode, body, at } of records(source, MAGIC.length, manifest.record)) {
    if (opcode !== OP.chunk) continue;
    for (const message of messages(body, at + HEAD_BYTES)) {
      const { channel, data, at: place } = message;
      if (channel === LEAVES) {
        if (leaf !== undefined) yield { ...leaf, unit: undefined };
        if (data.length > LEAF_BYTES_MAX) throw broken(place, "a leaf is too long");
        leaf = { data, at: place };
      } else {
        if (leaf === undefined) throw new Unreadable("it is an MCAP file, but no bundle: a picture does not follow its frame");
        yield { ...leaf, unit: unitIn(data, message.dataAt) };
        leaf = undefined;
      }
    }
  }
  if (leaf !== undefined) yield { ...leaf, unit: undefined };
}

interface Message {
  readonly channel: number;
  readonly data: Bytes;
  readonly at: number;
  readonly dataAt: number;
}

function* messages(chunk: Bytes, at: number): Generator<Message> {
  const head = new Reader(chunk, at);
  head.take(28);
  if (head.text() !== "") throw new Unreadable("it is an MCAP file, but no bundle: it is compressed");
  const inside = new Reader(head.take(head.u64()), at + CHUNK_HEAD_BYTES);
  while (!inside.isEmpty) {
    const place = inside.at;
    const opcode = inside.u8();
    const body = inside.take(inside.u64());
    if (opcode !== OP.message) continue;
    const message = new Reader(body, place + HEAD_BYTES);
    const channel = message.u16();
    if (channel !== LEAVES && channel !== VIDEO) throw new Unreadable("it is an MCAP file, but no bundle: it has a channel that no bundle has");
    message.take(MESSAGE_HEAD_BYTES - 2);
    yield { channel, data: message.rest(), at: place, dataAt: place + HEAD_BYTES + MESSAGE_HEAD_BYTES };
  }
}

/** The access unit in a `foxglove.CompressedVideo`. What else is in it is seen when it is made again. */
function unitIn(message: Bytes, at: number): { bytes: Bytes; at: number } {
  const reader = new Reader(message, at);
  while (!reader.isEmpty) {
    const tag = reader.u8();
    const length = reader.varint();
    const place = reader.at;
    const bytes = reader.take(length);
    if (tag === 0x1a && length <= UNIT_BYTES_MAX) return { bytes, at: place };
    if (tag !== 0x0a && tag !== 0x12) break;
  }
  throw broken(at, "a picture is no foxglove.CompressedVideo");
}

/** The picture or leaf whose message stands at `at`, for whoever has its place from an earlier pass. */
export async function messageAt(source: Source, at: number): Promise<Bytes> {
  const head = new Reader(await source.read(at, at + HEAD_BYTES), at);
  head.take(1);
  const length = head.u64();
  if (length > RECORD_BYTES_MAX) throw broken(at, "a record is too long");
  return source.read(at + HEAD_BYTES + MESSAGE_HEAD_BYTES, at + HEAD_BYTES + length);
}

/** A proof, and where its byte string stands. */
export interface ProofAt {
  readonly proof: Bytes;
  readonly at: number;
}

/** The proofs, a sequence of CBOR byte strings: the seal's first. */
export async function* proofsOf(source: Source, { proofs }: Parts): AsyncGenerator<ProofAt> {
  for (let at = proofs.from; at < proofs.to; ) {
    const one = await proofAt(source, at, proofs.to);
    yield one;
    at = one.end;
  }
}

export async function proofAt(source: Source, at: number, end: number): Promise<ProofAt & { readonly end: number }> {
  const head = await source.read(at, Math.min(at + 5, end));
  const first = head[0] ?? 0;
  const more = { 0x58: 1, 0x59: 2, 0x5a: 4 }[first] ?? 0;
  if (more === 0 && (first < 0x40 || first > 0x57)) throw broken(at, "no byte string where a proof should be");
  if (head.length < 1 + more) throw broken(at, "a proof is cut off");
  const length = more === 0 ? first - 0x40 : head.slice(1, 1 + more).reduce((sum, byte) => sum * 256 + byte, 0);
  if (length > PROOF_BYTES_MAX) throw broken(at, "a proof is too long");
  const from = at + 1 + more;
  if (from + length > end) throw broken(at, "a proof is cut off");
  return { proof: await source.read(from, from + length), at, end: from + length };
}

async function* records(source: Source, from: number, to: number): AsyncGenerator<{ opcode: number; body: Bytes; at: number }> {
  for (let at = from; at < to; ) {
    if (at + HEAD_BYTES > to) throw broken(at, "a record is cut off");
    const head = new Reader(await source.read(at, at + HEAD_BYTES), at);
    const opcode = head.u8();
    const length = head.u64();
    if (length > RECORD_BYTES_MAX) throw broken(at, `a record of ${length} bytes, at most ${RECORD_BYTES_MAX} are allowed`);
    const end = at + HEAD_BYTES + length;
    if (end > to) throw broken(at, "a record is cut off");
    yield { opcode, body: await source.read(at + HEAD_BYTES, end), at };
    at = end;
  }
}

function broken(at: number, what: string): Unreadable {
  return new Unreadable(`the container is broken at byte ${at}: ${what}`);
}

/** Takes little-endian pieces off the front of bytes that stand at `begin` in the file. */
class Reader {
  #at = 0;
  readonly #view: DataView;

  constructor(
    private readonly bytes: Bytes,
    private readonly begin: number,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get at(): number {
    return this.begin + this.#at;
  }

  get isEmpty(): boolean {
    return this.#at >= this.bytes.length;
  }

  take(length: number): Bytes {
    const from = this.#at;
    if (length > this.bytes.length - from) throw broken(this.at, "a record is cut off");
    this.#at += length;
    return this.bytes.subarray(from, from + length);
  }

  rest(): Bytes {
    return this.take(this.bytes.length - this.#at);
  }

  u8(): number {
    return this.take(1)[0] as number;
  }

  u16(): number {
    this.take(2);
    return this.#view.getUint16(this.#at - 2, true);
  }

  /** Larger ones than 2^53 are of no use here, and stay large. */
  u64(): number {
    this.take(8);
    return Number(this.#view.getBigUint64(this.#at - 8, true));
  }

  varint(): number {
    for (let [value, place] = [0, 1]; place < 2 ** 56; place *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * place;
      if (byte < 0x80) return value;
    }
    throw broken(this.at, "a number is too long");
  }

  text(): string {
    this.take(4);
    return new TextDecoder().decode(this.take(this.#view.getUint32(this.#at - 4, true)));
  }
}
