/** Where a bundle is read from: bytes at a place. **No more than a few blocks of it are ever held**, however long it is. */
import { type Bytes } from "../wire/bytes";

export interface Source {
  /** Bytes of the whole file. */
  readonly size: number;
  /** Exactly these bytes. */
  read(from: number, to: number): Promise<Bytes>;
}

/** Why a file can't be read as a bundle. */
export class Unreadable extends Error {
  override name = "Unreadable";
}

/** A file that somebody chose, or bytes in memory. */
export function blobSource(blob: Blob): Source {
  return { size: blob.size, read: async (from, to) => new Uint8Array(await blob.slice(from, to).arrayBuffer()) };
}

/** A file on a server that answers ranges (RFC 9110, 14). */
export async function httpSource(url: string): Promise<Source> {
  const ask = (range: string) => fetch(url, { headers: { Range: range }, credentials: "same-origin", cache: "no-store" });
  const first = await ask("bytes=0-0");
  await first.arrayBuffer();
  const size = Number(/^bytes 0-0\/(\d+)$/.exec(first.headers.get("Content-Range") ?? "")?.[1]);
  if (first.status !== 206 || !Number.isSafeInteger(size)) throw new Unreadable(`the server answered ${first.status} to a range`);
  const read = async (from: number, to: number) => {
    const answer = await ask(`bytes=${from}-${to - 1}`);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (answer.status !== 206 || bytes.length !== to - from) throw new Unreadable(`the server broke off at byte ${from}`);
    return bytes;
  };
  return { size, read };
}

const BLOCK_BYTES = 1024 * 1024;
/** The longest record, two times: whoever reads and whoever compares go through the file in step. */
const BLOCKS_MAX = 40;
const AHEAD = 2;

/** Blocks of a source: those used last, and the next ones. */
export class Blocks implements Source {
  readonly size: number;
  /** The one used longest ago first. */
  readonly #blocks = new Map<number, Promise<Bytes>>();

  constructor(
    private readonly source: Source,
    private readonly ahead = AHEAD,
  ) {
    this.size = source.size;
  }

  async read(from: number, to: number): Promise<Bytes> {
    if (from < 0 || to > this.size || from > to) throw new Unreadable(`it ends at byte ${this.size}, byte ${to} is needed`);
    const first = Math.floor(from / BLOCK_BYTES);
    const begin = first * BLOCK_BYTES;
    const one = await this.#block(first);
    for (let next = first + 1; next <= first + this.ahead && next * BLOCK_BYTES < this.size; next++) void this.#block(next);
    if (to - begin <= one.length) return one.subarray(from - begin, to - begin);
    const whole = new Uint8Array(to - from);
    for (let block = first; block * BLOCK_BYTES < to; block++) {
      const at = block * BLOCK_BYTES;
      const bytes = await this.#block(block);
      const part = bytes.subarray(Math.max(from - at, 0), Math.min(to - at, bytes.length));
      whole.set(part, Math.max(at - from, 0));
    }
    return whole;
  }

  #block(number: number): Promise<Bytes> {
    const begin = number * BLOCK_BYTES;
    const known = this.#blocks.get(number);
    const block = known ?? this.source.read(Math.min(begin, this.size), Math.min(begin + BLOCK_BYTES, this.size));
    block.catch(() => this.#blocks.delete(number));
    this.#blocks.delete(number);
    this.#blocks.set(number, block);
    const oldest = this.#blocks.keys().next().value;
    if (this.#blocks.size > BLOCKS_MAX && oldest !== undefined) this.#blocks.delete(oldest);
    return block;
  }
}
