/** What a page that goes away had not signed yet: commands and their hashes, for the page that comes next. */
import { fromHex, toHex } from "../wire/bytes";
import { type LastWords, type Unlisted } from "./scribe";

export function lastWords(storage: Storage, link: string): LastWords {
  const key = `unlisted ${link}`;
  return {
    leave: (unlisted) => {
      if (unlisted.length > 0) storage.setItem(key, writeUnlisted(unlisted));
    },
    take: () => {
      const text = storage.getItem(key);
      storage.removeItem(key);
      return text === null ? [] : readUnlisted(text);
    },
  };
}

/** One line a token: the token, the first sequence, the hashes. */
export function writeUnlisted(unlisted: readonly Unlisted[]): string {
  return unlisted.map(({ token, sent }) => [token, sent[0]?.sequence ?? 0n, ...sent.map(({ hash }) => toHex(hash))].join(" ")).join("\n");
}

export function readUnlisted(text: string): Unlisted[] {
  return text.split("\n").flatMap((line) => {
    const [token, first, ...hashes] = line.split(" ");
    if (!/^\d+$/.test(token ?? "") || !/^\d+$/.test(first ?? "")) return [];
    const sent = hashes.map((hash, i) => ({ sequence: BigInt(first ?? 0) + BigInt(i), hash: fromHex(hash, 32) ?? new Uint8Array(32) }));
    return [{ token: BigInt(token ?? 0), sent }];
  });
}
