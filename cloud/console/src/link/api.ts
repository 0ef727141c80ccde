/** The server's calls (`docs/signalling.md`). What it says is shown as its word, never as proven. */
import { fromBase64Url, fromHex, type Bytes } from "../wire/bytes";
import { type Identity } from "./rolelink";

/** An answer that is an error, in the server's words. */
export class ApiError extends Error {
  override name = "ApiError";

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }

  /** Asking again will not help. */
  get isFinal(): boolean {
    return this.code.startsWith("link-") || this.code === "malformed";
  }
}

export interface Claimed {
  readonly role: string;
  readonly pseudonym: string;
}

export interface SessionAnswer {
  readonly trustRoot: Bytes;
  /** Null until the session is open. */
  readonly opening: Bytes | null;
  /** Proofs of the kit's custody so far. */
  readonly custody: readonly Bytes[];
  /** Name of the sealed bundle, by the server's word; null until it has one. */
  readonly sealed: string | null;
  /** One `name=value` line each; believed only by its digest. */
  readonly limits: Bytes | null;
}

/** The session that a link is for, by the server's word. */
export async function sessionOfLink(link: string): Promise<Bytes> {
  return sessionIn(await call(`/api/links/${link}`));
}

function sessionIn(answer: Readonly<Record<string, unknown>>): Bytes {
  const session = fromHex(text(answer, "session"), 16);
  if (session === undefined) throw new ApiError("malformed", "The server's answer names no session.");
  return session;
}

export async function claim(identity: Identity): Promise<Claimed> {
  const answer = await call(`/api/links/${identity.link}/claim`, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream" },
    body: identity.endorsement,
  });
  sessionIn(answer);
  return { role: text(answer, "role"), pseudonym: text(answer, "pseudonym") };
}

/** A server that was started again knows nobody: the same session key claims its link once more. */
export async function claimAgain(identity: Identity): Promise<void> {
  await claim(identity).catch(() => undefined); // what is asked for next says why not
}

export async function session(identity: Identity): Promise<SessionAnswer> {
  const answer = await call(`/api/session?link=${identity.link}`);
  return {
    trustRoot: bytes(answer, "trust_root") ?? new Uint8Array(),
    opening: bytes(answer, "opening"),
    custody: list(answer, "custody"),
    sealed: text(answer, "sealed") || null,
    limits: bytes(answer, "limits"),
  };
}

export async function call(path: string, init?: RequestInit): Promise<Readonly<Record<string, unknown>>> {
  const body = await json(path, init);
  if (isRecord(body)) return body;
  throw errorOf(200, undefined);
}

/** The answer's JSON, whatever it is. */
export async function json(path: string, init?: RequestInit): Promise<unknown> {
  const response = await fetch(path, { ...init, credentials: "same-origin", cache: "no-store" });
  const body: unknown = await response.json().catch(() => undefined);
  if (response.ok) return body;
  throw errorOf(response.status, body);
}

/** Asks for something to be done; what is answered, if anything, says nothing more than that it was accepted. */
export async function post(path: string, body?: Bytes, more?: Readonly<Record<string, string>>): Promise<void> {
  const headers = body && { "Content-Type": "application/octet-stream", ...more };
  const response = await fetch(path, { method: "POST", credentials: "same-origin", cache: "no-store", ...(body && { body }), ...(headers && { headers }) });
  if (!response.ok) throw errorOf(response.status, await response.json().catch(() => undefined));
}

/** Why a call failed, in words. */
export function whyFailed(error: unknown): string {
  return error instanceof ApiError ? error.message : "The server can't be reached.";
}

function errorOf(status: number, body: unknown): ApiError {
  const error = isRecord(body) ? body["error"] : undefined;
  if (isRecord(error) && typeof error["code"] === "string" && typeof error["message"] === "string") {
    return new ApiError(error["code"], error["message"]);
  }
  return new ApiError(`http-${status}`, `The server answered ${status} and did not say why.`);
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(record: Readonly<Record<string, unknown>>, field: string): string {
  const value = record[field];
  return typeof value === "string" ? value : "";
}

function list(record: Readonly<Record<string, unknown>>, field: string): Bytes[] {
  const value = record[field];
  return Array.isArray(value) ? value.flatMap((item) => (typeof item === "string" ? (fromBase64Url(item) ?? []) : [])) : [];
}

function bytes(record: Readonly<Record<string, unknown>>, field: string): Bytes | null {
  const value = record[field];
  return typeof value === "string" ? (fromBase64Url(value) ?? null) : null;
}
