/** A bundle being checked on this device, by this page's own verifier, in a thread of its own. */
import { signal } from "@preact/signals";
import { type Index } from "../../bundle/index";
import { type News } from "../../bundle/verifier.worker";
import { Blocks, type Source, blobSource, httpSource } from "../../bundle/source";
import { type Report } from "../../bundle/verify";
import { type OwnTrust } from "./owntrust";

export type Progress =
  | { readonly is: "progress"; readonly at: number; readonly of: number }
  | { readonly is: "done"; readonly report: Report; readonly index: Index | undefined; readonly tookMs: number };

/** A bundle that was opened: a file of the auditor's own, or one of the server's archive. */
export interface Opened {
  readonly name: string;
  readonly bundle: Blob | string;
  /** Name in the server's archive, if it is from there. */
  readonly archived: string | undefined;
}

export class LocalCheck {
  readonly progress = signal<Progress>({ is: "progress", at: 0, of: 0 });
  readonly source: Promise<Source>;
  #worker: Worker | undefined;

  constructor(
    readonly opened: Opened,
    readonly trust: OwnTrust | undefined,
  ) {
    const { bundle } = opened;
    this.source = (typeof bundle === "string" ? httpSource(bundle) : Promise.resolve(blobSource(bundle))).then((source) => new Blocks(source));
    this.source.catch(() => undefined); // the worker says why
  }

  /** Checks until the returned function is called. */
  start(): () => void {
    const began = performance.now();
    const worker = new Worker(new URL("../../bundle/verifier.worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<News>) => {
      this.progress.value = data.is === "done" ? { ...data, tookMs: performance.now() - began } : data;
      if (data.is === "done") worker.terminate();
    };
    worker.postMessage({ bundle: this.opened.bundle, trust: this.trust?.bytes });
    this.#worker = worker;
    return () => this.#worker?.terminate();
  }
}
