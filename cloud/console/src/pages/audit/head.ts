/** What a bundle says of itself at its head and in its summary, for a list: who and when. Checked only as far as it says. */
import { contents, readParts } from "../../bundle/container";
import { readLeaf } from "../../bundle/leaf";
import { trustFor } from "../../bundle/manifest";
import { type Source } from "../../bundle/source";
import { type Role, verifyOpening } from "../../trust/opening";
import { type TrustRoot } from "../../trust/root";
import { toHex } from "../../wire/bytes";

export interface Head {
  readonly session: string;
  readonly openedMs: number;
  /** From the first leaf's time to the last, by the container's own word. */
  readonly durationMs: number;
  readonly people: readonly { readonly role: Role; readonly pseudonym: string }[];
}

const STATISTICS = 11;

/** Throws unless the opening holds under the trust root. */
export async function readHead(source: Source, trust: TrustRoot): Promise<Head> {
  const parts = await readParts(source);
  for await (const { data } of contents(source, parts)) {
    const { what } = readLeaf(data);
    if (what.is !== "opening") break;
    const { roster, committed, session } = await verifyOpening(what.evidence, await trustFor(source, trust));
    const people = roster.map(({ role, pseudonym }) => ({ role, pseudonym }));
    return { session: toHex(session), openedMs: Number(committed.us) / 1000, durationMs: await duration(source), people };
  }
  throw new Error("it does not begin with its opening");
}

/** First and last log time stand in the statistics (`docs/evidence-format.md`, 14.3). */
async function duration(source: Source): Promise<number> {
  const footer = new DataView((await source.read(source.size - 28, source.size - 20)).slice().buffer);
  let at = Number(footer.getBigUint64(0, true));
  while (at + 9 < source.size) {
    const head = new DataView((await source.read(at, at + 9)).slice().buffer);
    const length = Number(head.getBigUint64(1, true));
    if (head.getUint8(0) === STATISTICS) {
      const body = new DataView((await source.read(at + 9, at + 9 + length)).slice().buffer);
      return Number(body.getBigUint64(34, true) - body.getBigUint64(26, true)) / 1e6;
    }
    at += 9 + length;
  }
  return 0;
}
