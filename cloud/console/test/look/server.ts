/** Serves `dist` under the server's own policy, and answers the API with a world that the pages can be looked at in. */
import { readFile } from "node:fs/promises";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import { extname, join } from "node:path";
import { STEPS } from "../../src/trust/custody";
import { fromHex, toBase64Url, toHex } from "../../src/wire/bytes";
import { toCbor } from "../../src/wire/cbor";
import { sha256 } from "../../src/wire/mac";
import { Domain, open } from "../../src/wire/signed";
import { bytes, vectors } from "../hex";

const DIST = new URL("../../dist/", import.meta.url).pathname;
const TYPES: Readonly<Record<string, string>> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2" };
/** As `cloud/server/src/site.rs` sends it. */
const policy = (host: string) =>
  `default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' ws://${host}; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

export const made = vectors("opening");
const seeds = made["seeds"] as Record<string, string>;
const LEDGER = sha256(new TextEncoder().encode("ledger")).slice(0, 16);
const kit = bytes(made, "kit");

export const ROLES = { operate: "surgeon link", bedside: "bedside link", field: "field", audit: "field" } as const;
export type Page = keyof typeof ROLES;

export class World {
  open = true;
  done = 1;
  failed: string | undefined;
  flight: object | undefined;
  signedSteps: string[] = [];
  listeners = new Set<ServerResponse>();
  bundles: object[] = [];
  report: object = { exit: 0 };
  sealed: string | null = null;
  readonly server: Server = createServer((request, response) => void this.answer(request, response));
  port = 0;

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.port = (this.server.address() as { port: number }).port;
  }

  /** A role link, whole. */
  link(page: Page, options: { readonly test?: "1" | "stamp"; readonly trust?: string } = {}): string {
    const link = toHex(sha256(new TextEncoder().encode(page)).slice(0, 16));
    const seed = toBase64Url(fromHex(seeds[ROLES[page]]!, 32)!);
    const trust = options.trust ?? toBase64Url(bytes(made, "fingerprint"));
    const session = toBase64Url(bytes(made, "session"));
    return `http://127.0.0.1:${this.port}/${page}/${link}${options.test ? `?test=${options.test}` : ""}#${seed}.${trust}.${session}`;
  }

  /** Tells every field page. */
  tell(): void {
    for (const listener of this.listeners) listener.write(`data: ${JSON.stringify(this.field())}\n\n`);
  }

  field(): object {
    const now = this.done;
    const steps = STEPS.map((step, i) => {
      const flying = step === "airborne" && i === now && this.flight !== undefined;
      const state = i < now ? "done" : i === now && this.failed !== undefined ? "failed" : flying ? "now" : "waiting";
      const by = i >= 5 ? "the kit" : i === 2 || i === 3 ? "the aircraft" : "field-1";
      const detail = state === "done" ? `signed by ${by}, block ${120 + 7 * i}` : state === "failed" ? this.failed : flying ? "on its way" : "";
      return { step, state, detail, progress: flying ? (this.flight as { progress: number }).progress : null };
    });
    return { kit: toHex(kit), steps, next: this.next(), flight: this.flight ?? null };
  }

  private next(): object | null {
    if (this.done === 1) return { call: "dispatch", transaction: this.transaction(2, 1) };
    if (this.done === 4) return { call: "bring-up", transaction: this.transaction(5, 4) };
    return this.done === 5 ? { call: "pair", transaction: null } : null;
  }

  private transaction(sequence: number, step: number): string {
    return toBase64Url(toCbor([LEDGER, [Date.now() * 1000, 1000], [4, [kit, sequence, [step], new Uint8Array(32)]]]));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? "/", "http://x").pathname;
    response.setHeader("Content-Security-Policy", policy(`127.0.0.1:${this.port}`));
    if (path.startsWith("/api/")) return this.api(path.slice(5), request, response);
    const file = /^\/(operate|bedside|field|audit)\//.test(path) ? "index.html" : path;
    try {
      const content = await readFile(join(DIST, file));
      response.setHeader("Content-Type", TYPES[extname(file)] ?? "application/octet-stream");
      response.end(content);
    } catch {
      response.writeHead(404).end();
    }
  }

  private async api(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const json = (value: unknown, status = 200) => response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
    const page = (["operate", "bedside", "field", "audit"] as const).find((one) => request.headers.referer?.includes(`/${one}/`)) ?? this.pageOf(path);
    const role = { operate: "surgeon", bedside: "bedside", field: "field", audit: "auditor" }[page];
    const session = made["session"];
    if (path.endsWith("/claim")) return void json({ role, pseudonym: `${role}-1`, session });
    if (path === "session") {
      const [trust_root, opening, limits] = ["trust_root", "opening", "limits"].map((name) => toBase64Url(bytes(made, name)));
      return void json({ session, role, pseudonym: `${role}-1`, trust_root, opening: this.open ? opening : null, limits, custody: [], edge_online: true, sealed: this.sealed });
    }
    if (path === "field/events") {
      response.writeHead(200, { "Content-Type": "text/event-stream" }).write(`data: ${JSON.stringify(this.field())}\n\n`);
      this.listeners.add(response);
      request.on("close", () => this.listeners.delete(response));
      return;
    }
    if (path === "field") return void json(this.field());
    if (path.startsWith("field/")) {
      await this.begin(path.slice(6), await bodyOf(request));
      return void response.writeHead(204).end();
    }
    if (path === "audit/bundles") return void json(this.bundles);
    if (path === "audit/trust") return void response.end(bytes(made, "trust_root"));
    if (path.endsWith("/verify")) return void json(this.report);
    json({ error: { code: "not-found", message: "There is no such call." } }, 404);
  }

  private pageOf(path: string): Page {
    const link = path.split("/")[1] ?? "";
    return (Object.keys(ROLES) as Page[]).find((page) => link === toHex(sha256(new TextEncoder().encode(page)).slice(0, 16))) ?? "field";
  }

  private async begin(call: string, body: Uint8Array): Promise<void> {
    if (call !== "pair") {
      const { author } = await open(Domain.transaction, body);
      this.signedSteps.push(`${call} ${toHex(author).slice(0, 8)}`);
    }
    this.done = call === "dispatch" ? 2 : call === "bring-up" ? 5 : 7;
    this.tell();
  }
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return new Uint8Array(Buffer.concat(parts));
}
