/** Merkle trees of RFC 9162, 2.1: SHA-256, `00` before a leaf, `01` before two nodes. */
import { type Bytes } from "../wire/bytes";
import { sha256 } from "../wire/mac";

/** No path has more hashes. */
export const PATH_MAX = 65;

export function leafHash(entry: Uint8Array): Bytes {
  return sha256(Uint8Array.of(0), entry);
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Bytes {
  return sha256(Uint8Array.of(1), left, right);
}

/** The root that `path` leads to from `leaf` at `index` of `size` leaves, or `undefined` if it does not fit. RFC 9162, 2.1.3.2. */
export function rootOfInclusion(leaf: Bytes, index: bigint, size: bigint, path: readonly Bytes[]): Bytes | undefined {
  if (index >= size) return undefined;
  let [node, last, hash] = [index, size - 1n, leaf];
  for (const sibling of path) {
    if (last === 0n) return undefined;
    if ((node & 1n) === 1n || node === last) {
      hash = nodeHash(sibling, hash);
      while ((node & 1n) === 0n && node !== 0n) [node, last] = [node >> 1n, last >> 1n];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [node, last] = [node >> 1n, last >> 1n];
  }
  return last === 0n ? hash : undefined;
}

/** Of a tree without leaves. */
export const EMPTY_ROOT = sha256();

/** A tree that grows leaf by leaf: the roots of its perfect subtrees, the largest first. */
export class Tree {
  size = 0n;
  readonly #peaks: Bytes[] = [];

  /** A leaf's hash. */
  append(leaf: Bytes): void {
    let hash = leaf;
    for (let size = this.size; (size & 1n) === 1n; size >>= 1n) hash = nodeHash(this.#peaks.pop() as Bytes, hash);
    this.#peaks.push(hash);
    this.size += 1n;
  }

  root(): Bytes {
    return this.#peaks.length === 0 ? EMPTY_ROOT : this.#peaks.reduceRight((right, left) => nodeHash(left, right));
  }
}
