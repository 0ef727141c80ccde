/**
 * A bundle made again from its content and compared with the file, byte by byte (`docs/evidence-format.md`, 14). **Every byte
 * follows from the content**, so none can change unnoticed. Holds no more than a chunk.
 */
import { sha256 as sha256Of } from "@noble/hashes/sha2";
import { type Bytes, ascii, concat } from "../wire/bytes";
import { CHUNK_BYTES, LEAVES, MAGIC, OP, type Parts, VIDEO } from "./container";
import { crc32 } from "./crc";
import { Clock } from "./clock";
import { type Entry } from "./leaf";
import { type Source } from "./source";

const U64_MAX = 2n ** 64n - 1n;
const SCHEMA = Uint8Array.from(
  atob(
    "CncKH2dvb2dsZS9wcm90b2J1Zi90aW1lc3RhbXAucHJvdG8SD2dvb2dsZS5wcm90b2J1ZiI7CglUaW1lc3RhbXASGAoHc2Vjb25kcxgBIAEoA1IHc2Vjb25k" +
      "cxIUCgVuYW5vcxgCIAEoBVIFbmFub3NiBnByb3RvMwrFAQoeZm94Z2xvdmUvQ29tcHJlc3NlZFZpZGVvLnByb3RvEghmb3hnbG92ZRofZ29vZ2xlL3Byb3Rv" +
      "YnVmL3RpbWVzdGFtcC5wcm90byJwCg9Db21wcmVzc2VkVmlkZW8SLQoJdGltZXN0YW1wGAEgASgLMhouZ29vZ2xlLnByb3RvYnVmLlRpbWVzdGFtcBIQCghm" +
      "cmFtZV9pZBgCIAEoCRIMCgRkYXRhGAMgASgMEg4KBmZvcm1hdBgEIAEoCWIGcHJvdG8z",
  ),
  (letter) => letter.charCodeAt(0),
);

const SCHEMA_RECORD = record(OP.schema, u16(1), string("foxglove.CompressedVideo"), string("protobuf"), u32(SCHEMA.length), SCHEMA);
const CHANNEL_RECORDS = concat(
  record(OP.channel, u16(LEAVES), u16(0), string("/farhand/leaves"), string("cbor"), u32(0)),
  record(OP.channel, u16(VIDEO), u16(1), string("/farhand/video"), string("protobuf"), u32(0)),
);

/** The first byte that is not what the content makes it. */
export interface Difference {
  readonly at: number;
  /** `undefined`: the file ends before it, or goes on behind its end. */
  readonly seen: number | undefined;
  readonly expected: number | undefined;
}

interface Bounds {
  readonly first: bigint;
  readonly last: bigint;
}

export class Again {
  readonly clock = new Clock();
  difference: Difference | undefined;
  #at = 0;
  #crc = 0;
  readonly #sha = sha256Of.create();
  // The chunk under way.
  #parts: Bytes[] = [SCHEMA_RECORD, CHANNEL_RECORDS];
  #size = SCHEMA_RECORD.length + CHANNEL_RECORDS.length;
  readonly #messages = { [LEAVES]: [] as Bytes[], [VIDEO]: [] as Bytes[] };
  #bounds: Bounds | undefined;
  // All of them.
  readonly #chunks: Bytes[] = [];
  readonly #counts = { [LEAVES]: 0n, [VIDEO]: 0n };
  #allBounds: Bounds | undefined;

  constructor(private readonly source: Source) {}

  /** A leaf's message and its picture. `entry`: what it says, if that can be read. */
  async leaf(number: number, data: Bytes, entry: Entry | undefined, unit: Bytes | undefined): Promise<void> {
    const time = this.clock.take(entry);
    await this.#message(LEAVES, BigInt(number), time, time, [data]);
    if (unit === undefined || entry?.what.is !== "frame") return;
    const { frame, capturedUs } = entry.what.frame;
    const captured = this.clock.utcUs(capturedUs);
    await this.#message(VIDEO, frame, time, captured, video(captured, unit));
  }

  /** SHA-256 of the file as it was made again: the file's own unless there is a difference. */
  digest(): Bytes {
    return new Uint8Array(this.#sha.digest());
  }

  /** Ends the file with what is in the attachments. */
  async finish({ manifest, proofs }: Parts): Promise<void> {
    if (this.#parts.length > 0) await this.#endChunk();
    const attachments = [
      await this.#attach("manifest", "application/cbor", manifest.from, manifest.to),
      await this.#attach("proofs", "application/cbor-seq", proofs.from, proofs.to),
    ];
    await this.#write(record(OP.dataEnd, u32(this.#crc)));
    const summary = this.#at;
    const groups: [number, Bytes][] = [
      [OP.schema, SCHEMA_RECORD],
      [OP.channel, CHANNEL_RECORDS],
      [OP.statistics, record(OP.statistics, this.#statistics())],
      [OP.chunkIndex, concat(...this.#chunks)],
      [OP.attachmentIndex, concat(...attachments)],
    ];
    let at = summary;
    const offsets = groups.map(([opcode, group]) => {
      at += group.length;
      return record(OP.summaryOffset, Uint8Array.of(opcode), u64(at - group.length), u64(group.length));
    });
    const tail = concat(...groups.map(([, group]) => group), ...offsets, Uint8Array.of(OP.footer), u64(20), u64(summary), u64(at));
    await this.#write(concat(tail, u32(crc32(tail)), MAGIC));
    if (this.difference === undefined && this.#at < this.source.size) {
      const [seen] = await this.source.read(this.#at, this.#at + 1);
      this.difference = { at: this.#at, seen, expected: undefined };
    }
  }

  async #message(channel: typeof LEAVES | typeof VIDEO, sequence: bigint, logUs: bigint, publishUs: bigint, data: readonly Bytes[]): Promise<void> {
    if (this.#size > CHUNK_BYTES) await this.#endChunk();
    const time = ns(logUs);
    this.#messages[channel].push(entry(time, this.#size));
    this.#counts[channel] += 1n;
    this.#bounds = widest(this.#bounds, { first: time, last: time });
    const length = data.reduce((sum, part) => sum + part.length, 22);
    this.#parts.push(messageHead(length, channel, Number(sequence & 0xffff_ffffn), time, ns(publishUs)), ...data);
    this.#size += 9 + length;
  }

  async #endChunk(): Promise<void> {
    if (this.#at === 0) await this.#write(concat(MAGIC, record(OP.header, string("farhand"), string("farhand bundle v1"))));
    const begin = this.#at;
    const { first, last } = this.#bounds ?? { first: 0n, last: 0n };
    const bounds = concat(u64(first), u64(last));
    // Some 30,000 parts at most: a message has 65 bytes or more.
    const [records, size] = [concat(...this.#parts), u64(this.#size)];
    await this.#write(concat(Uint8Array.of(OP.chunk), u64(40 + this.#size), bounds, size, u32(crc32(records)), string(""), size, records));
    const length = this.#at - begin;
    const indexes: Bytes[] = [];
    for (const channel of [LEAVES, VIDEO] as const) {
      const messages = this.#messages[channel];
      if (messages.length === 0) continue;
      indexes.push(concat(u16(channel), u64(this.#at)));
      await this.#write(record(OP.messageIndex, u16(channel), sized(messages)));
      this.#messages[channel] = [];
    }
    const indexBytes = u64(this.#at - begin - length);
    this.#chunks.push(record(OP.chunkIndex, bounds, u64(begin), u64(length), sized(indexes), indexBytes, string(""), size, size));
    if (this.#bounds) this.#allBounds = widest(this.#allBounds, this.#bounds);
    [this.#parts, this.#size, this.#bounds] = [[], 0, undefined];
  }

  /** An attachment's record, its data as it stands in the file: it is compared with what it says by others. */
  async #attach(name: string, mediaType: string, from: number, to: number): Promise<Bytes> {
    const time = u64(ns(this.clock.newestUs));
    const begin = this.#at;
    const head = concat(time, time, string(name), string(mediaType), u64(to - from));
    await this.#write(concat(Uint8Array.of(OP.attachment), u64(head.length + to - from + 4), head));
    let crc = crc32(head);
    for (let at = from; at < to; at += CHUNK_BYTES) {
      const part = await this.source.read(at, Math.min(at + CHUNK_BYTES, to));
      crc = crc32(part, crc);
      await this.#write(part);
    }
    await this.#write(u32(crc));
    return record(OP.attachmentIndex, u64(begin), u64(this.#at - begin), time, time, u64(to - from), string(name), string(mediaType));
  }

  #statistics(): Bytes {
    const { first, last } = this.#allBounds ?? { first: 0n, last: 0n };
    const counted = ([LEAVES, VIDEO] as const).filter((channel) => this.#counts[channel] > 0n);
    const counts = counted.map((channel) => concat(u16(channel), u64(this.#counts[channel])));
    const messages = this.#counts[LEAVES] + this.#counts[VIDEO];
    return concat(u64(messages), u16(1), u32(2), u32(2), u32(0), u32(this.#chunks.length), u64(first), u64(last), sized(counts));
  }

  /** What comes next in the file, compared with what is there. */
  async #write(bytes: Bytes): Promise<void> {
    this.#crc = crc32(bytes, this.#crc);
    this.#sha.update(bytes);
    if (this.difference === undefined) {
      const seen = await this.source.read(Math.min(this.#at, this.source.size), Math.min(this.#at + bytes.length, this.source.size));
      let same = 0;
      while (same < bytes.length && bytes[same] === seen[same]) same += 1;
      if (same < bytes.length) this.difference = { at: this.#at + same, seen: seen[same], expected: bytes[same] };
    }
    this.#at += bytes.length;
  }
}

function widest(a: Bounds | undefined, b: Bounds): Bounds {
  if (a === undefined) return b;
  return { first: a.first < b.first ? a.first : b.first, last: a.last > b.last ? a.last : b.last };
}

/** A `foxglove.CompressedVideo`. */
function video(capturedUs: bigint, unit: Bytes): Bytes[] {
  const numbers = [capturedUs / 1_000_000n, (capturedUs % 1_000_000n) * 1000n];
  const timestamp = concat(...numbers.map((value, i) => (value === 0n ? new Uint8Array() : concat(Uint8Array.of((i + 1) << 3), varint(value)))));
  const before = concat(field(1, timestamp), field(2, ascii("endoscope")), Uint8Array.of((3 << 3) | 2), varint(BigInt(unit.length)));
  return [before, unit, field(4, ascii("h264"))];
}

function field(number: number, data: Bytes): Bytes {
  return concat(Uint8Array.of((number << 3) | 2), varint(BigInt(data.length)), data);
}

function varint(value: bigint): Bytes {
  const bytes = [];
  for (; value >= 0x80n; value >>= 7n) bytes.push(Number(value & 0x7fn) | 0x80);
  return Uint8Array.from([...bytes, Number(value)]);
}

function messageHead(length: number, channel: number, sequence: number, logNs: bigint, publishNs: bigint): Bytes {
  const head = new Uint8Array(31);
  const view = new DataView(head.buffer);
  view.setUint8(0, OP.message);
  view.setBigUint64(1, BigInt(length), true);
  view.setUint16(9, channel, true);
  view.setUint32(11, sequence, true);
  view.setBigUint64(15, logNs, true);
  view.setBigUint64(23, publishNs, true);
  return head;
}

/** Of a message index. */
function entry(logNs: bigint, at: number): Bytes {
  const both = new Uint8Array(16);
  const view = new DataView(both.buffer);
  view.setBigUint64(0, logNs, true);
  view.setBigUint64(8, BigInt(at), true);
  return both;
}

function record(opcode: number, ...body: readonly Bytes[]): Bytes {
  const length = body.reduce((sum, part) => sum + part.length, 0);
  return concat(Uint8Array.of(opcode), u64(length), ...body);
}

function sized(items: readonly Bytes[]): Bytes {
  const all = concat(...items);
  return concat(u32(all.length), all);
}

function string(text: string): Bytes {
  return concat(u32(text.length), ascii(text));
}

function ns(us: bigint): bigint {
  return us * 1000n > U64_MAX ? U64_MAX : us * 1000n;
}

function u16(value: number): Bytes {
  return Uint8Array.of(value & 0xff, value >>> 8);
}

function u32(value: number): Bytes {
  return Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
}

function u64(value: number | bigint): Bytes {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}
