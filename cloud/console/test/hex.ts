/** Vectors are JSON with hex strings; tests take them as bytes. */
import { readFileSync } from "node:fs";
import { type Bytes, fromHex } from "../src/wire/bytes";

export type Tree = { readonly [name: string]: string | Tree };

export function vectors(name: string): Tree {
  return JSON.parse(readFileSync(new URL(`./vectors/${name}.json`, import.meta.url), "utf8")) as Tree;
}

export function bytes(tree: Tree, ...path: readonly string[]): Bytes {
  const found = path.reduce<string | Tree | undefined>((at, step) => (typeof at === "object" ? at[step] : undefined), tree);
  if (typeof found !== "string") throw new Error(`no vector ${path.join(".")}`);
  const read = fromHex(found, found.length / 2);
  if (read === undefined) throw new Error(`vector ${path.join(".")} is not hex`);
  return read;
}

/** A copy with one bit turned. */
export function flipped(whole: Uint8Array, bit: number): Bytes {
  const copy = new Uint8Array(whole);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}
