/** The sealed sessions that the server keeps, its verdicts on them, and the trust root that they are checked under. */
import { type Signal, signal } from "@preact/signals";
import { call, claimAgain, json, whyFailed } from "../../link/api";
import { type Identity } from "../../link/rolelink";
import { equal, toHex } from "../../wire/bytes";
import { sha256 } from "../../wire/mac";
import { type Bundle, type Report, readBundles, readReport } from "./model";

const REFRESH_MS = 3000;

export type Check = { readonly is: "checking" } | { readonly is: "failed"; readonly why: string } | { readonly is: "done"; readonly report: Report };

export type Trust =
  | { readonly is: "asking" }
  | { readonly is: "failed"; readonly why: string }
  | { readonly is: "got"; readonly fingerprint: string; readonly asLinked: boolean };

export class Archive {
  readonly bundles: Signal<readonly Bundle[] | undefined> = signal(undefined);
  readonly trouble = signal<string | undefined>(undefined);
  readonly trust = signal<Trust>({ is: "asking" });
  readonly checks = signal<ReadonlyMap<string, Check>>(new Map());

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

  async #load(): Promise<void> {
    try {
      const bundles = readBundles(await json(this.path("bundles")));
      if (bundles !== undefined) this.bundles.value = bundles;
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
      const fingerprint = sha256(new Uint8Array(await response.arrayBuffer()));
      this.trust.value = { is: "got", fingerprint: toHex(fingerprint), asLinked: equal(fingerprint, this.identity.trust) };
    } catch (error) {
      this.trust.value = { is: "failed", why: whyFailed(error) };
    }
  }

  #note(name: string, check: Check): void {
    this.checks.value = new Map(this.checks.value).set(name, check);
  }
}
