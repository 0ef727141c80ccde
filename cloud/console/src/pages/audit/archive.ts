/** The sealed sessions that the server keeps, its verdicts on them, and the trust root that they are checked under. */
import { type Signal, signal } from "@preact/signals";
import { type Exit, whyNot } from "../../bundle/findings";
import { Blocks, httpSource } from "../../bundle/source";
import { type TrustRoot, fingerprintOf, parseTrustRoot } from "../../trust/root";
import { call, claimAgain, json, whyFailed } from "../../link/api";
import { type Identity } from "../../link/rolelink";
import { equal, toHex } from "../../wire/bytes";
import { type Head, readHead } from "./head";
import { type Bundle, type Report, SHORT, readBundles, readReport } from "./model";

const REFRESH_MS = 3000;

export type Check = { readonly is: "checking" } | { readonly is: "failed"; readonly why: string } | { readonly is: "done"; readonly report: Report };

export type Trust =
  | { readonly is: "asking" }
  | { readonly is: "failed"; readonly why: string }
  | { readonly is: "got"; readonly fingerprint: string; readonly asLinked: boolean };

export type HeadOf = { readonly is: "read"; readonly head: Head } | { readonly is: "failed"; readonly why: string };

/** So many heads are read by themselves; each is some 100 kB. */
const HEADS_MAX = 100;

export class Archive {
  readonly bundles: Signal<readonly Bundle[] | undefined> = signal(undefined);
  readonly trouble = signal<string | undefined>(undefined);
  readonly trust = signal<Trust>({ is: "asking" });
  readonly checks = signal<ReadonlyMap<string, Check>>(new Map());

  /** What each bundle says at its head, its opening checked under the trust root that the link names. */
  readonly heads = signal<ReadonlyMap<string, HeadOf>>(new Map());
  /** This device's own answers so far. */
  readonly own = signal<ReadonlyMap<string, Exit>>(new Map());
  /** The ledger's trust root, if it is the one that the link names. */
  root: TrustRoot | undefined;
  #reading = false;

  constructor(readonly identity: Identity) {}

  /** Asks now and again until the returned function is called; not while nobody looks. */
  start(): () => void {
    void this.#load();
    void this.#loadTrust();
    const timer = setInterval(() => document.hidden || void this.#load(), REFRESH_MS);
    return () => clearInterval(timer);
  }

  path(rest: string): string {
    return `/api/audit/${rest}?link=${this.identity.link}`;
  }

  async verify(name: string): Promise<void> {
    this.#note(name, { is: "checking" });
    try {
      const report = readReport(await call(this.path(`bundles/${name}/verify`), { method: "POST" }));
      this.#note(name, report ? { is: "done", report } : { is: "failed", why: "The server's answer is no verdict." });
    } catch (error) {
      this.#note(name, { is: "failed", why: whyFailed(error) });
    }
  }

  noteOwn(name: string, exit: Exit): void {
    this.own.value = new Map(this.own.value).set(name, exit);
  }

  /** Who has said what of a bundle so far, in words. */
  saidOf(name: string): string {
    const own = this.own.value.get(name);
    const server = this.checks.value.get(name);
    const said = [own !== undefined && `this device: ${SHORT[own]}`, server?.is === "done" && `the server: ${SHORT[server.report.exit]}`];
    return said.filter(Boolean).join(", ") || "not checked yet";
  }

  async #load(): Promise<void> {
    try {
      const bundles = readBundles(await json(this.path("bundles")));
      if (bundles !== undefined) this.bundles.value = bundles;
      void this.#readHeads();
      this.trouble.value = bundles === undefined ? "The server's answer is no list of bundles." : undefined;
      if (this.trust.value.is === "failed") void this.#loadTrust();
    } catch (error) {
      this.trouble.value = whyFailed(error);
      await claimAgain(this.identity);
    }
  }

  async #loadTrust(): Promise<void> {
    try {
      const response = await fetch(this.path("trust"), { credentials: "same-origin", cache: "no-store" });
      if (!response.ok) throw new TypeError(`status ${response.status}`);
      const bytes = new Uint8Array(await response.arrayBuffer());
      const fingerprint = fingerprintOf(bytes);
      const asLinked = equal(fingerprint, this.identity.trust);
      if (asLinked) this.root = await parseTrustRoot(bytes);
      this.trust.value = { is: "got", fingerprint: toHex(fingerprint), asLinked };
      void this.#readHeads();
    } catch (error) {
      this.trust.value = { is: "failed", why: whyFailed(error) };
    }
  }

  /** One after the other, so that they are in nobody's way. */
  async #readHeads(): Promise<void> {
    const root = this.root;
    if (root === undefined || this.#reading) return;
    this.#reading = true;
    for (const { name } of (this.bundles.value ?? []).slice(0, HEADS_MAX)) {
      if (this.heads.value.has(name)) continue;
      const read = httpSource(this.path(`bundles/${name}`)).then((source) => readHead(new Blocks(source, 0), root));
      const head = await read.then((found): HeadOf => ({ is: "read", head: found }), (error: unknown): HeadOf => ({ is: "failed", why: whyNot(error) }));
      this.heads.value = new Map(this.heads.value).set(name, head);
    }
    this.#reading = false;
  }

  #note(name: string, check: Check): void {
    this.checks.value = new Map(this.checks.value).set(name, check);
  }
}
