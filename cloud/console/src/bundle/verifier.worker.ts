/** Verifies a bundle on a thread of its own, and makes the index of what it saw. */
import { type Index, Indexer } from "./index";
import { readParts } from "./container";
import { blobSource, httpSource } from "./source";
import { type Report, verifyBundle } from "./verify";

export interface Job {
  readonly bundle: Blob | string;
  readonly trust: Uint8Array | undefined;
}

export type News = { readonly is: "progress"; readonly at: number; readonly of: number } | { readonly is: "done"; readonly report: Report; readonly index: Index | undefined };

interface Scope {
  onmessage: ((event: MessageEvent<Job>) => void) | null;
  postMessage(news: News): void;
}

const scope = globalThis as unknown as Scope;
/** A bar needs no more. */
const STEP_BYTES = 256 * 1024;

scope.onmessage = ({ data }) => void verify(data).then((news) => scope.postMessage(news));

async function verify({ bundle, trust }: Job): Promise<News> {
  try {
    const source = typeof bundle === "string" ? await httpSource(bundle) : blobSource(bundle);
    const indexer = new Indexer();
    let index: Index | undefined;
    const { proofs } = await readParts(source).catch(() => ({ proofs: { from: 0, to: 0 } }));
    let told = 0;
    const report = await verifyBundle(source, trust, {
      see: (leaf) => indexer.take(leaf),
      progress: (at, of) => {
        if (at - told < STEP_BYTES) return;
        told = at;
        scope.postMessage({ is: "progress", at, of });
      },
      done: (session) => (index = indexer.index(session, [proofs.from, proofs.to])),
    });
    return { is: "done", report, index };
  } catch (error) {
    const unreadable = error instanceof Error ? error.message : String(error);
    return { is: "done", index: undefined, report: { exit: 2, unreadable, bytes: 0, trust: undefined, session: undefined, root: "", digest: "", counts: {}, findings: [], findingsLeftOut: 0 } };
  }
}
